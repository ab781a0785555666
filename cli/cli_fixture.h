// Runs the binary in a temporary folder, for the tests of commands.
#pragma once

#include <gmock/gmock.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <set>

#include "ane/half.h"
#include "ane/model_shape.h"
#include "common/csv.h"
#include "common/files.h"
#include "common/random.h"
#include "common/safetensors.h"
#include "common/worker.h"

namespace aneval {

namespace fs = std::filesystem;

class Cli : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("aneval-cli-" + std::to_string(getpid()));
    fs::create_directories(folder_);
    write_file(
        path("tiny.json"),
        R"({"name":"tiny","dim":32,"hidden":48,"heads":4,"kv_heads":2,"head_dim":8,"seq":12,"layers":2,"vocab":64})");
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  static ProcessResult run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), ANEVAL_BINARY);
    return run_process(arguments, std::chrono::minutes(2));
  }

  /// One line on standard error that begins with `aneval: ` and holds the text, exit code 2, nothing on standard
  /// output.
  static void expect_bad_input(const std::vector<std::string>& arguments, const std::string& text) {
    const ProcessResult result = run(arguments);
    EXPECT_EQ(result.code, 2) << result.err;
    EXPECT_THAT(result.err, ::testing::StartsWith("aneval: "));
    EXPECT_THAT(result.err, ::testing::HasSubstr(text));
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
    EXPECT_EQ(result.out, "");
  }

  NamedTensors write_tensors(const std::string& name, const std::map<std::string, std::vector<std::int64_t>>& shapes) {
    NamedTensors tensors;
    for (const auto& [tensor, shape] : shapes) {
      tensors[tensor] = Tensor(shape);
      // Weights of 1/sqrt(32) keep activations at 1, as trained models do.
      Random(5, tensor).fill_normal(tensors[tensor].data, tensor == "x" || tensor == "dy" ? 1.0 : 0.18);
    }
    write_safetensors(path(name), tensors);
    return tensors;
  }

  std::map<std::string, std::vector<std::int64_t>> layer_shapes() const {
    return {{"x", {32, 12}},  {"dy", {32, 12}}, {"wq", {32, 32}}, {"wk", {16, 32}},  {"wv", {16, 32}}, {"wo", {32, 32}},
            {"w1", {48, 32}}, {"w2", {32, 48}}, {"w3", {48, 32}}, {"rms_att", {32}}, {"rms_ffn", {32}}};
  }

  fs::path folder_;
};

}  // namespace aneval
