// An outcome as annotations of a GitHub workflow (workflow commands on standard output or error of a step).
#include <fmt/format.h>

#include "reports/gate/render.h"
#include "reports/gate/render_parts.h"

namespace aneval::gate {
namespace {

/// As @actions/core does: the message escapes % and line ends, a property also : and ,
std::string escaped(const std::string& text, bool property) {
  std::string result;
  for (const char c : plain(text)) {
    if (c == '%' || (property && (c == ':' || c == ',')))
      result += fmt::format("%{:02X}", static_cast<int>(c));
    else
      result += c;
  }
  return result;
}

std::string line(std::string_view kind, const std::string& title, const std::string& message) {
  return fmt::format("::{} title={}::{}\n", kind, escaped(title, true), escaped(message, false));
}

}  // namespace

std::string to_annotations(const Outcome& outcome, bool strict) {
  std::string out;
  std::size_t said = 0, failing = 0;
  const bool failed = exit_code(outcome, strict) != ExitCode::ok;
  for (const std::string& refusal : outcome.refusals)
    // Of the machine, not of the change: a workflow may go on without the comparison.
    if (said < kMostAnnotations) out += line("warning", "comparison refused", refusal), ++said;
  for (const Finding& f : outcome.findings) failing += fails(f);
  for (const Finding* f : worst_first(outcome)) {
    if (!fails(*f)) break;
    if (said + 1 == kMostAnnotations && failing > 1) {
      out += line("error", "and more", fmt::format("{} more findings fail: gate.md has them", failing));
      return out;
    }
    const std::string remarked = remark(*f);
    out += line(
        "error", fmt::format("{} {}", verdict_name(f->verdict), f->name()),
        fmt::format("{} -> {}{}{}", base_value(*f), new_value(*f),
                    f->change ? " (" + signed_percent(f->change) + ")" : "", remarked.empty() ? "" : ": " + remarked));
    ++said, --failing;
  }
  if (said == 0 && failed) out += line("error", "aneval compare", headline(outcome, strict));
  return out;
}

}  // namespace aneval::gate
