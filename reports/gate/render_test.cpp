#include "reports/gate/render.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "common/names.h"
#include "reports/gate/render_parts.h"

namespace aneval::gate {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

Finding finding(const std::string& kernel, const std::string& metric, Kind kind, Verdict verdict) {
  Finding f;
  f.key = {.model = "tiny", .kernel = kernel, .phase = "eval", .metric = metric, .seq = 12};
  f.kind = kind;
  f.verdict = verdict;
  return f;
}

Finding slower() {
  Finding f = finding("woFwd", "time", Kind::timing, Verdict::regressed);
  f.unit = "ns";
  f.base = 3.06e6, f.now = 3.21e6;
  f.change = 0.049, f.low = 0.031, f.high = 0.066, f.p = 1.2e-5, f.detectable = 0.033, f.tolerance = 0.03;
  return f;
}

/// One of everything.
Outcome everything() {
  Outcome o;
  o.mode = "two files";
  o.facts = {{"base", "a.csv, commit c0, 6 processes"}, {"new", "b.csv, commit c1, 6 processes"}};
  o.warnings = {"something is odd"};
  Finding same = finding("kvBwd", "dispatches", Kind::exact, Verdict::unchanged);
  same.base = same.now = 1;
  Finding hash = finding("woFwd", "program_hash", Kind::exact, Verdict::regressed);
  hash.base_text = "aa", hash.now_text = "bb", hash.note = "it should be the same";
  Finding gone = finding("qBwd", "", Kind::contract, Verdict::removed);
  gone.base_text = "ok";
  Finding open = slower();
  open.key.kernel = "ffnFused";
  open.verdict = Verdict::inconclusive;
  open.gating = false;
  open.detectable = std::numeric_limits<double>::infinity();
  Finding meant = finding("wotBwd", "bytes", Kind::exact, Verdict::regressed);
  meant.base = 4096, meant.now = 8192, meant.change = 1, meant.gating = false, meant.expected = "wider slots";
  o.findings = {same, open, meant, slower(), gone, hash};
  return o;
}

/// A well-formed XML 1.0 document, as far as this renderer can go wrong: tags that match, attributes in quotes, text
/// without < and &, no forbidden character. Returns what is wrong.
std::string xml_error(const std::string& xml) {
  for (const char c : xml)
    if (static_cast<unsigned char>(c) < 0x20 && c != '\n') return "control character";
  std::vector<std::string> open;
  for (std::size_t i = xml.find('\n') + 1; i < xml.size();) {
    const std::size_t tag = std::min(xml.find('<', i), xml.size());
    for (std::size_t amp = xml.find('&', i); amp < tag; amp = xml.find('&', amp + 1)) {
      const std::string entity = xml.substr(amp, xml.find(';', amp) - amp + 1);
      if (entity != "&amp;" && entity != "&lt;" && entity != "&gt;" && entity != "&quot;" && entity != "&apos;")
        return "entity " + entity;
    }
    if (tag == xml.size()) break;
    const std::size_t end = xml.find('>', tag);
    const std::string inside = xml.substr(tag + 1, end - tag - 1);
    const std::string name = inside.substr(0, inside.find_first_of(" /", 1));
    if (inside.starts_with('/')) {
      if (open.empty() || "/" + open.back() != inside) return "end tag " + inside;
      open.pop_back();
    } else {
      if (std::count(inside.begin(), inside.end(), '"') % 2 != 0 || inside.find('<') != std::string::npos)
        return "attributes of " + inside;
      if (!inside.ends_with('/')) open.push_back(name);
    }
    i = end + 1;
  }
  return open.empty() ? "" : "not closed: " + open.back();
}

const std::string kHostile = "a<b>&\"c'|d`e*f_g\n::error::h%,@i#1 <!-- ]]> \x01\x1b[31m \xff\xed\xa0\x80 ünï";

Outcome hostile() {
  Outcome o = everything();
  o.mode = kHostile;
  o.facts.emplace_back(kHostile, kHostile);
  o.warnings.push_back(kHostile);
  for (Finding& f : o.findings) {
    f.key.kernel = f.key.model = f.key.case_text = f.note = f.base_text = f.benchmark = kHostile;
    if (!f.expected.empty()) f.expected = kHostile;
  }
  return o;
}

TEST(WorstFirst, DeterministicThenMissingThenSlowerThenTheRest) {
  const Outcome o = everything();
  std::vector<std::string> kernels;
  for (const Finding* f : worst_first(o)) kernels.push_back(f->key.kernel);
  EXPECT_THAT(kernels, testing::ElementsAre("woFwd", "qBwd", "woFwd", "wotBwd", "ffnFused", "kvBwd"));
}

TEST(WorstFirst, LargerChangesFirst) {
  Outcome o;
  for (const double change : {0.1, -0.5, 0.3}) {
    o.findings.push_back(slower());
    o.findings.back().change = change;
  }
  EXPECT_EQ(worst_first(o)[0]->change, -0.5);
  EXPECT_EQ(worst_first(o)[2]->change, 0.1);
}

TEST(Numbers, ForPeople) {
  EXPECT_EQ(signed_percent(0.042), "+4.2 %");
  EXPECT_EQ(signed_percent(-0.123), "-12 %");
  EXPECT_EQ(signed_percent(std::nullopt), "–");
  EXPECT_EQ(signed_percent(INFINITY), "+∞");
  EXPECT_EQ(signed_percent(12345.0), "+1.2e+06 %");
  EXPECT_EQ(cut("abcdef", 6), "abcdef");
  EXPECT_EQ(cut("aüüüü", 7), "aü…");
  EXPECT_EQ(plain("a\tb\x7f\xc3"), "a b\uFFFD");
  EXPECT_EQ(plain("€ 𝄞 \xc0\x80"), "€ 𝄞 \uFFFD\uFFFD");
}

TEST(Console, Golden) {
  EXPECT_EQ(to_console(everything(), false), R"x(base           a.csv, commit c0, 6 processes
new            b.csv, commit c1, 6 processes
warning: something is odd
REGRESSED              tiny seq 12 woFwd eval program_hash
    aa -> bb
    it should be the same
REMOVED                tiny seq 12 qBwd eval
    ok -> –
REGRESSED              tiny seq 12 woFwd eval time
    3.06 ms -> 3.21 ms  +4.9 % (+3.1 % … +6.6 %)  p 1.2e-05
REGRESSED (expected)   tiny seq 12 wotBwd eval bytes
    4096 -> 8192  +100 %
    expected: wider slots
INCONCLUSIVE           tiny seq 12 ffnFused eval time
    3.06 ms -> 3.21 ms  +4.9 % (+3.1 % … +6.6 %)  p 1.2e-05  detectable: none
FAILED: 1 deterministic metric worse, 1 benchmark missing or failed, 1 timing slower, 1 expected change, 1 inconclusive, 1 unchanged
)x");
}

TEST(Console, LinesOfATerminalAndACountOfTheRest) {
  Outcome o = everything();
  for (int i = 0; i < 500; ++i) o.findings.push_back(o.findings[static_cast<std::size_t>(i) % 6]);
  for (Finding& f : o.findings) f.note = std::string(500, 'x');
  const std::string text = to_console(o, false);
  const auto lines = split(text, '\n');
  EXPECT_LT(lines.size(), 140U);
  EXPECT_THAT(text, HasSubstr("-- and "));
  EXPECT_THAT(text, HasSubstr("gate.csv (--out DIR) has them all"));
  for (const std::string& line : split(to_console(hostile(), false), '\n'))
    EXPECT_EQ(line.find_first_of("\x01\x1b\r"), std::string::npos);
}

TEST(Markdown, Golden) {
  EXPECT_EQ(
      to_markdown(everything(), false, "gate.csv"),
      R"x(# aneval compare: FAILED: 1 deterministic metric worse, 1 benchmark missing or failed, 1 timing slower, 1 expected change, 1 inconclusive, 1 unchanged

* base: a.csv, commit c0, 6 processes
* new: b.csv, commit c1, 6 processes

> something is odd

## What fails (2)

| verdict | kind | metric | base | new | change | |
|---|---|---|---|---|---|---|
| REGRESSED | exact | tiny seq 12 woFwd eval program\_hash | aa | bb | – | it should be the same |
| REMOVED | contract | tiny seq 12 qBwd eval | ok | – | – |  |

## Timings that fail (1)

| verdict | timing | base | new | change | 95 % interval | p | detectable | |
|---|---|---|---|---|---|---|---|---|
| REGRESSED | tiny seq 12 woFwd eval time | 3.06 ms | 3.21 ms | +4.9 % | +3.1 % … +6.6 % | 1.2e-05 | 3.3 % |  |

## Expected changes (1)

| verdict | kind | metric | base | new | change | |
|---|---|---|---|---|---|---|
| REGRESSED (expected) | exact | tiny seq 12 wotBwd eval bytes | 4096 | 8192 | +100 % | expected: wider slots |

## Timings that changed or are open (1)

| verdict | timing | base | new | change | 95 % interval | p | detectable | |
|---|---|---|---|---|---|---|---|---|
| INCONCLUSIVE | tiny seq 12 ffnFused eval time | 3.06 ms | 3.21 ms | +4.9 % | +3.1 % … +6.6 % | 1.2e-05 | none |  |

<details><summary>Unchanged (1)</summary>

| verdict | kind | metric | base | new | change | |
|---|---|---|---|---|---|---|
| UNCHANGED | exact | tiny seq 12 kvBwd eval dispatches | 1 | 1 | – |  |

</details>
)x");
}

TEST(Markdown, RefusalsComeFirst) {
  Outcome o;
  o.refusals = {"chips differ"};
  EXPECT_THAT(to_markdown(o, false, ""),
              testing::StartsWith("# aneval compare: REFUSED: chips differ\n\n> **Refused**"));
}

TEST(Markdown, HasACapAndSaysWhatIsLeftOut) {
  Outcome o = hostile();
  for (int i = 0; i < 3000; ++i) o.findings.push_back(o.findings[static_cast<std::size_t>(i) % 6]);
  for (int i = 0; i < 3000; ++i) o.warnings.push_back(std::string(3000, '<'));
  const std::string text = to_markdown(o, false, "gate.csv in x");
  EXPECT_LE(text.size(), kMarkdownBytes);
  EXPECT_GT(text.size(), kMarkdownBytes / 2);
  EXPECT_THAT(text, HasSubstr(" of 3006 findings are left out here: gate.csv in x\n"));
  const std::string end = text.substr(text.rfind('\n', text.size() - 2));
  std::size_t shown = 0;
  for (const std::string& line : split(text, '\n')) shown += line.starts_with("| ") && !line.starts_with("| verdict");
  EXPECT_THAT(end, HasSubstr(std::to_string(3006 - shown) + " of 3006"));
  EXPECT_THAT(to_markdown(everything(), false, "x"), Not(HasSubstr("left out")));
}

TEST(Markdown, FoldedPartsAreClosedAlsoAtTheCap) {
  Outcome o;
  for (int i = 0; i < 3000; ++i) o.findings.push_back(everything().findings.front());
  const std::string text = to_markdown(o, false, "x");
  EXPECT_THAT(text, AllOf(HasSubstr("<details>"), HasSubstr("\n</details>\n\n")));
}

TEST(Markdown, NamesOfOthersAreNoMarkup) {
  const std::string text = to_markdown(hostile(), false, "x");
  EXPECT_THAT(text, Not(HasSubstr("a<b")));
  EXPECT_THAT(text, Not(HasSubstr("@i")));
  EXPECT_THAT(text, Not(HasSubstr("#1")));
  for (const std::string& line : split(text, '\n')) {
    if (!line.starts_with("| ") || line.find("a&lt;b") == std::string::npos) continue;
    std::size_t bars = 0;
    for (std::size_t i = 0; i < line.size(); ++i) bars += line[i] == '|' && line[i - (i > 0)] != '\\';
    EXPECT_TRUE(bars == 8 || bars == 10) << line;
  }
}

TEST(Junit, Golden) {
  EXPECT_EQ(to_junit(everything()), R"x(<?xml version="1.0" encoding="UTF-8"?>
<testsuites>
  <testsuite name="aneval compare: two files" tests="6" failures="3" errors="0" skipped="2">
    <testcase classname="aneval.exact" name="tiny seq 12 woFwd eval program_hash"><failure type="REGRESSED" message="aa -&gt; bb">base aa, new bb: it should be the same</failure></testcase>
    <testcase classname="aneval.contract" name="tiny seq 12 qBwd eval"><failure type="REMOVED" message="ok -&gt; –">base ok, new –</failure></testcase>
    <testcase classname="aneval.timing" name="tiny seq 12 woFwd eval time"><failure type="REGRESSED" message="3.06 ms -&gt; 3.21 ms">base 3.06 ms, new 3.21 ms, change +4.9 %, interval +3.1 % … +6.6 %, p 1.2e-05, detectable 3.3 %, tolerance +3.0 %</failure></testcase>
    <testcase classname="aneval.exact" name="tiny seq 12 wotBwd eval bytes"><skipped message="REGRESSED (expected): base 4096, new 8192, change +100 %: expected: wider slots"/></testcase>
    <testcase classname="aneval.timing" name="tiny seq 12 ffnFused eval time"><skipped message="INCONCLUSIVE: base 3.06 ms, new 3.21 ms, change +4.9 %, interval +3.1 % … +6.6 %, p 1.2e-05, detectable none, tolerance +3.0 %"/></testcase>
    <testcase classname="aneval.exact" name="tiny seq 12 kvBwd eval dispatches"><system-out>UNCHANGED: base 1, new 1</system-out></testcase>
  </testsuite>
</testsuites>
)x");
}

TEST(Junit, IsWellFormedWhateverNamesHold) {
  EXPECT_EQ(xml_error(to_junit(everything())), "");
  EXPECT_EQ(xml_error(to_junit(hostile())), "");
  EXPECT_EQ(xml_error("<?xml?>\n<a b=\"<\"></a>"), "attributes of a b=\"<\"");
  Outcome refused;
  refused.refusals = {kHostile};
  EXPECT_EQ(xml_error(to_junit(refused)), "");
  EXPECT_THAT(to_junit(refused), HasSubstr("tests=\"1\" failures=\"1\""));
}

TEST(Junit, NothingComparedIsAFailure) {
  EXPECT_THAT(to_junit({}), AllOf(HasSubstr("tests=\"1\" failures=\"1\""), HasSubstr("nothing was compared")));
}

TEST(Csv, Golden) {
  EXPECT_EQ(
      to_csv(everything()),
      R"x(name,verdict,kind,gating,benchmark,model,seq,layer,kernel,variant,case,item,phase,metric,unit,base,new,base_text,new_text,change,low,high,p,detectable,tolerance,note,expected
tiny seq 12 woFwd eval program_hash,REGRESSED,exact,1,,tiny,12,,woFwd,,,,eval,program_hash,,,,aa,bb,,,,,,0,it should be the same,
tiny seq 12 qBwd eval,REMOVED,contract,1,,tiny,12,,qBwd,,,,eval,,,,,ok,,,,,,,0,,
tiny seq 12 woFwd eval time,REGRESSED,timing,1,,tiny,12,,woFwd,,,,eval,time,ns,3060000,3210000,,,0.049,0.031,0.066,1.2e-05,0.033,0.03,,
tiny seq 12 wotBwd eval bytes,REGRESSED,exact,0,,tiny,12,,wotBwd,,,,eval,bytes,,4096,8192,,,1,,,,,0,,wider slots
tiny seq 12 ffnFused eval time,INCONCLUSIVE,timing,0,,tiny,12,,ffnFused,,,,eval,time,ns,3060000,3210000,,,0.049,0.031,0.066,1.2e-05,inf,0.03,,
tiny seq 12 kvBwd eval dispatches,UNCHANGED,exact,1,,tiny,12,,kvBwd,,,,eval,dispatches,,1,1,,,,,,,,0,,
)x");
}

TEST(Csv, EveryLineHasAllColumns) {
  const auto lines = split(to_csv(hostile()), '\n');
  for (const std::string& line : lines) {
    if (line.empty()) continue;
    bool quoted = false;
    std::size_t commas = 0;
    for (const char c : line) {
      if (c == '"') quoted = !quoted;
      commas += c == ',' && !quoted;
    }
    EXPECT_EQ(commas, 26U) << line;
    EXPECT_FALSE(quoted);
  }
}

TEST(Annotations, Golden) {
  EXPECT_EQ(to_annotations(everything(), false),
            R"x(::error title=REGRESSED tiny seq 12 woFwd eval program_hash::aa -> bb: it should be the same
::error title=REMOVED tiny seq 12 qBwd eval::ok -> –
::error title=REGRESSED tiny seq 12 woFwd eval time::3.06 ms -> 3.21 ms (+4.9 %25)
)x");
}

TEST(Annotations, NothingEndsACommandEarly) {
  for (const std::string& line : split(to_annotations(hostile(), false), '\n')) {
    if (line.empty()) continue;
    EXPECT_TRUE(line.starts_with("::error title=")) << line;
    const std::string title = line.substr(14, line.find("::", 14) - 14);
    EXPECT_EQ(title.find_first_of(":,"), std::string::npos) << title;
    EXPECT_THAT(line, HasSubstr("h%25"));
  }
}

TEST(Annotations, TenAtMost) {
  Outcome o;
  const auto lines = [&] {
    const std::string text = to_annotations(o, false);
    return std::count(text.begin(), text.end(), '\n');
  };
  o.findings.assign(10, slower());
  EXPECT_EQ(lines(), 10);
  EXPECT_THAT(to_annotations(o, false), Not(HasSubstr("more findings")));
  o.findings.assign(25, slower());
  EXPECT_EQ(lines(), 10);
  EXPECT_THAT(to_annotations(o, false), HasSubstr("16 more findings fail"));
  o.findings.assign(25, everything().findings.front());
  EXPECT_EQ(lines(), 0);
  o.findings.clear();
  EXPECT_THAT(to_annotations(o, false), HasSubstr("nothing was compared"));
  o.refusals.assign(12, "chip");
  EXPECT_EQ(lines(), 10);
  EXPECT_THAT(to_annotations(o, false),
              AllOf(HasSubstr("::warning title=comparison refused::chip"), Not(HasSubstr("::error"))));
}

}  // namespace
}  // namespace aneval::gate
