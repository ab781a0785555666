// Linux: /proc, /etc/os-release and uname (platform.h).
#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>

#include "common/error.h"
#include "common/files.h"
#include "common/names.h"
#include "common/platform.h"
#include "common/worker.h"

namespace aneval {
namespace {

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\"";
  const auto begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

/// The value of the first line `key <separator> value`, without quotes; empty when there is none.
std::string value_of(std::string_view text, std::string_view key, char separator) {
  for (const std::string& line : split(text, '\n')) {
    const auto position = line.find(separator);
    if (position != std::string::npos && trimmed(std::string_view(line).substr(0, position)) == key)
      return std::string(trimmed(std::string_view(line).substr(position + 1)));
  }
  return {};
}

std::string text_of(const char* file) try { return read_text_file(file); } catch (const Error&) {
  return {};  // a system without it
}

/// The only line of a file of /sys.
std::string line_of(const std::filesystem::path& file) {
  return std::string(trimmed(split(text_of(file.c_str()) + "\n", '\n').front()));
}

/// "Debian GNU/Linux" and "Fedora Linux" are "Debian" and "Fedora" behind the kernel's own "Linux".
std::string without_suffix(std::string name, std::string_view suffix) {
  if (name.ends_with(suffix)) name.erase(name.size() - suffix.size());
  return name;
}

std::string os_text(const utsname& names) {
  const std::string release = text_of("/etc/os-release");
  const std::string name = without_suffix(without_suffix(value_of(release, "NAME", '='), " GNU/Linux"), " Linux");
  const std::string_view kernel = names.release;
  const std::string_view major_minor = kernel.substr(0, kernel.find_first_not_of("0123456789", kernel.find('.') + 1));
  std::string text = fmt::format("{} {}", names.sysname, major_minor);
  for (const std::string& part : {name, value_of(release, "VERSION_ID", '=')})
    if (!part.empty()) text += ' ' + part;
  return text;
}

}  // namespace

PlatformFacts platform_facts() {
  utsname names{};
  ::uname(&names);
  const std::string cpu = text_of("/proc/cpuinfo");
  PlatformFacts facts;
  facts.chip = value_of(cpu, "model name", ':');
  // arm64 kernels name no model.
  if (facts.chip.empty()) facts.chip = fmt::format("{} CPU", names.machine);
  facts.os = os_text(names);
  const long pages = ::sysconf(_SC_PHYS_PAGES), page_bytes = ::sysconf(_SC_PAGESIZE);
  if (pages > 0 && page_bytes > 0)
    facts.memory_gib = static_cast<double>(pages) * static_cast<double>(page_bytes) / (1 << 30);
  facts.virtual_machine = (' ' + value_of(cpu, "flags", ':') + ' ').find(" hypervisor ") != std::string::npos;
  return facts;
}

PowerState power_state() {
  namespace fs = std::filesystem;
  PowerState state;
  std::error_code error;
  // A machine without a battery has no power supplies to show: its source stays unknown.
  for (const auto& supply : fs::directory_iterator("/sys/class/power_supply", error)) {
    const std::string type = line_of(supply.path() / "type"), online = line_of(supply.path() / "online");
    if ((type == "Mains" || type == "USB") && online == "1") state.source = "ac";
    if (type == "Battery" && line_of(supply.path() / "status") == "Discharging") state.source = "battery";
  }
  for (const auto& zone : fs::directory_iterator("/sys/class/thermal", error)) {
    const std::string millidegrees = line_of(zone.path() / "temp");
    if (millidegrees.empty() || millidegrees.find_first_not_of("0123456789") != std::string::npos) continue;
    state.celsius = std::max(state.celsius.value_or(0), parse_double(millidegrees, "temp") / 1000);
  }
  state.governor = line_of("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
  return state;
}

std::filesystem::path configuration_folder_in_home() { return ".config"; }

std::string executable_path() {
  std::error_code error;
  const std::filesystem::path path = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) throw refusal("/proc/self/exe", "cannot read: " + error.message(), "mount /proc");
  return path.string();
}

}  // namespace aneval
