// An outcome as JUnit XML, as test reports of CI systems read it.
#include <fmt/format.h>

#include "reports/format.h"
#include "reports/gate/render.h"
#include "reports/gate/render_parts.h"

namespace aneval::gate {
namespace {

/// plain() leaves no character that XML 1.0 forbids.
std::string escaped(const std::string& text) { return reports::markup_escaped(plain(text)); }

std::string numbers(const Finding& f) {
  std::string text = fmt::format("base {}, new {}", base_value(f), new_value(f));
  if (f.change) text += fmt::format(", change {}", signed_percent(f.change));
  if (f.low && f.high) text += fmt::format(", interval {}", interval(f));
  if (f.p) text += fmt::format(", p {}", p_value(f));
  if (f.detectable) text += fmt::format(", detectable {}", detectable(f));
  if (f.tolerance > 0) text += fmt::format(", tolerance {}", signed_percent(f.tolerance));
  const std::string said = remark(f);
  return said.empty() ? text : text + ": " + said;
}

/// Neither good nor bad: open, advisory, expected, new.
bool undecided(const Finding& f) {
  return f.verdict != Verdict::unchanged && f.verdict != Verdict::improved && !fails(f);
}

std::string element(const Finding& f) {
  if (fails(f))
    return fmt::format("<failure type=\"{}\" message=\"{} -&gt; {}\">{}</failure>", verdict_name(f.verdict),
                       escaped(base_value(f)), escaped(new_value(f)), escaped(numbers(f)));
  if (undecided(f)) return fmt::format("<skipped message=\"{}: {}\"/>", verdict_text(f), escaped(numbers(f)));
  return fmt::format("<system-out>{}: {}</system-out>", verdict_text(f), escaped(numbers(f)));
}

}  // namespace

std::string to_junit(const Outcome& outcome) {
  std::size_t failures = outcome.refusals.size(), skipped = 0,
              count = outcome.findings.size() + outcome.refusals.size();
  for (const Finding& f : outcome.findings) failures += fails(f), skipped += undecided(f);
  std::string cases;
  for (const std::string& refusal : outcome.refusals)
    cases += fmt::format(
        "    <testcase classname=\"aneval.refused\" name=\"{0}\"><failure type=\"REFUSED\" "
        "message=\"{0}\"/></testcase>\n",
        escaped(refusal));
  bool compared = !outcome.refusals.empty();
  for (const Finding* f : worst_first(outcome)) {
    compared |= f->verdict == Verdict::regressed || f->verdict == Verdict::improved ||
                f->verdict == Verdict::unchanged || f->verdict == Verdict::inconclusive;
    cases += fmt::format("    <testcase classname=\"aneval.{}\" name=\"{}\">{}</testcase>\n", kind_name(f->kind),
                         escaped(f->name()), element(*f));
  }
  if (!compared) {  // an empty report would be a passed one
    cases +=
        "    <testcase classname=\"aneval.comparison\" name=\"something was compared\">"
        "<failure type=\"MISSING\" message=\"nothing was compared\"/></testcase>\n";
    ++failures, ++count;
  }
  return fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n"
      "  <testsuite name=\"aneval compare: {}\" tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"{}\">\n{}"
      "  </testsuite>\n</testsuites>\n",
      escaped(outcome.mode), count, failures, skipped, cases);
}

}  // namespace aneval::gate
