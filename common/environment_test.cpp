#include "common/environment.h"

#include <gmock/gmock.h>
#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

#include <array>
#include <nlohmann/json.hpp>

#include "common/csv.h"
#include "common/files.h"
#include "common/test_support.h"

namespace aneval {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::MatchesRegex;

/// Another value of an environment variable within a scope; nullptr unsets it.
class ScopedVariable {
 public:
  ScopedVariable(const char* name, const char* value) : name_(name) {
    if (const char* previous = ::getenv(name)) previous_ = previous;
    value ? ::setenv(name, value, 1) : ::unsetenv(name);
  }
  ~ScopedVariable() { previous_ ? ::setenv(name_, previous_->c_str(), 1) : ::unsetenv(name_); }

 private:
  const char* name_;
  std::optional<std::string> previous_;
};

TEST(Environment, DescribesBuildAndMachine) {
  const Environment environment = describe_environment("bench-1");
  EXPECT_THAT(environment.version, MatchesRegex("[0-9]+\\.[0-9]+\\.[0-9]+"));
  EXPECT_THAT(environment.commit, MatchesRegex("unknown|[0-9a-f]+(\\+dirty)?"));
  EXPECT_THAT(environment.build, MatchesRegex(".+-(gcc|clang|appleclang)[0-9]+-(avx512|avx2|sse2|neon|scalar)"));
  EXPECT_EQ(environment.machine, "bench-1");
  EXPECT_FALSE(environment.chip.empty());
  EXPECT_THAT(environment.os, MatchesRegex("(Linux|macOS) [0-9]+\\.[0-9]+.*"));
  EXPECT_GE(environment.processors, 1);
  EXPECT_GT(environment.memory_gib, 0.1);
  EXPECT_EQ(environment.libraries.at(0).first, "fmt");
  for (const auto& [name, version] : environment.libraries)
    EXPECT_THAT(version, MatchesRegex("[0-9]+(\\.[0-9]+)+")) << name;
}

TEST(Environment, LabelIsMadeOnceAndKept) {
  const TemporaryFolder folder;
  const ScopedVariable home("HOME", (folder / "home").c_str());
  {
    const ScopedVariable config("XDG_CONFIG_HOME", (folder / "config").c_str());
    const std::string label = describe_environment("").machine;
    EXPECT_THAT(label, MatchesRegex("machine-[0-9a-f]+"));
    EXPECT_EQ(describe_environment("").machine, label);
    EXPECT_EQ(read_text_file(folder / "config" / "aneval" / "machine"), label + "\n");
    EXPECT_EQ(describe_environment("mine").machine, "mine");
    EXPECT_EQ(describe_environment("").machine, label) << "a label given for one run was kept";
  }
  const ScopedVariable none("XDG_CONFIG_HOME", nullptr);
  const std::string label = describe_environment("").machine;
  EXPECT_THAT(label, MatchesRegex("machine-[0-9a-f]+"));
  EXPECT_TRUE(fs::exists(folder / "home" / ".config" / "aneval" / "machine") ||
              fs::exists(folder / "home" / "Library" / "Application Support" / "aneval" / "machine"));
}

TEST(Environment, WithoutAPlaceTheMachineIsUnnamed) {
  const TemporaryFolder folder;
  write_file(folder / "file", std::string_view("x"));
  {
    const ScopedVariable config("XDG_CONFIG_HOME", (folder / "file").c_str());
    EXPECT_EQ(describe_environment("").machine, "unnamed");
  }
  const ScopedVariable config("XDG_CONFIG_HOME", "relative/path"), home("HOME", nullptr);
  EXPECT_EQ(describe_environment("").machine, "unnamed");
}

TEST(Environment, UnusableLabels) {
  const TemporaryFolder folder;
  const ScopedVariable config("XDG_CONFIG_HOME", folder.path().c_str());
  fs::create_directory(folder / "aneval");
  for (const std::string& content :
       {std::string("two\nlines\n"), std::string("/home/somebody"), std::string(), std::string(70, 'x')}) {
    write_file(folder / "aneval" / "machine", content);
    EXPECT_THAT(describe_environment("").machine, MatchesRegex("machine-[0-9a-f]+")) << content;
  }
  EXPECT_EQ(error_of([] { describe_environment("a\nb"); }).code(), ExitCode::bad_input);
  EXPECT_EQ(error_of([] { describe_environment(std::string(65, 'x')); }).code(), ExitCode::bad_input);
}

TEST(Environment, RunsHaveTheirOwnIdentity) {
  const Environment environment = describe_environment("bench-1");
  const RunContext first = make_run_context(environment), second = make_run_context(environment);
  EXPECT_NE(first.run_id, second.run_id);
  EXPECT_THAT(first.run_id, MatchesRegex("[0-9]+T[0-9]+Z[0-9a-f]+"));
  EXPECT_THAT(first.time_utc, MatchesRegex("20[0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]Z"));
  EXPECT_EQ(first.commit, environment.commit);
  EXPECT_EQ(first.build, environment.build);
  EXPECT_EQ(first.machine, "bench-1");
  EXPECT_EQ(first.chip, environment.chip);
  EXPECT_EQ(first.os, environment.os);
  EXPECT_EQ(first.backend + first.profile, "");
  Record record;
  record.run = first;
  EXPECT_EQ(rows_of_text(csv_header() + csv_line(record)).at(0).run.os, environment.os);
}

TEST(Environment, JsonHoldsTheFields) {
  Environment environment = describe_environment("bench-1");
  environment.libraries.emplace_back("benchmark", "1.7.1");
  environment.chip = "broken \xff name";
  const auto json = nlohmann::json::parse(environment_json(environment));
  EXPECT_EQ(json.at("schema"), 1);
  EXPECT_EQ(json.at("machine"), "bench-1");
  EXPECT_EQ(json.at("build"), environment.build);
  EXPECT_EQ(json.at("libraries").at("benchmark"), "1.7.1");
  EXPECT_TRUE(json.at("virtual_machine").is_boolean());
}

TEST(Environment, NothingPrivateLeaves) {
  const TemporaryFolder folder;
  const std::string home_folder = (folder / "home-of-somebody").string();
  const ScopedVariable home("HOME", home_folder.c_str()), user("USER", "somebody-private"),
      name("LOGNAME", "somebody-private");
  const ScopedVariable config("XDG_CONFIG_HOME", nullptr);
  const Environment environment = describe_environment("");
  const RunContext run = make_run_context(environment);
  Record record;
  record.run = run;
  const std::string leaving = environment_json(environment) + csv_line(record);

  std::array<char, 256> host{};
  ASSERT_EQ(::gethostname(host.data(), host.size() - 1), 0);
  std::vector<std::string> secrets = {home_folder, "somebody", host.data(), fs::current_path().string()};
  if (const passwd* entry = ::getpwuid(::getuid())) secrets.insert(secrets.end(), {entry->pw_name, entry->pw_dir});
  for (const std::string& secret : secrets) {
    // A host that is called like its system, such as "debian", proves nothing.
    const bool public_word = (environment.os + environment.chip).find(secret) != std::string::npos;
    if (public_word) continue;
    EXPECT_THAT(leaving, testing::Not(HasSubstr(secret)));
  }
  EXPECT_THAT(leaving, testing::Not(HasSubstr("/home"))) << "an absolute path";
}

}  // namespace
}  // namespace aneval
