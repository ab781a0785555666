// An outcome as GitHub-flavoured Markdown, short enough for a comment on a pull request.
#include <fmt/format.h>

#include <functional>

#include "reports/gate/render.h"
#include "reports/gate/render_parts.h"

namespace aneval::gate {
namespace {

constexpr std::size_t kNameBytes = 200, kNoteBytes = 400;
constexpr std::size_t kEndBytes = 600;  // what is kept free for the line about what was left out, and open tags
constexpr std::size_t kMostWarnings = 20;

/// A text of others in running text or a cell: no markup, no mention, no end of the cell.
std::string escaped(const std::string& text, std::size_t bytes) {
  std::string result;
  for (const char c : cut(plain(text), bytes)) switch (c) {
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '&':
        result += "&amp;";
        break;
      case '@':  // a mention would notify somebody
        result += "&#64;";
        break;
      case '#':  // a reference to an issue would link there
        result += "&#35;";
        break;
      case '|':
      case '\\':
      case '`':
      case '*':
      case '_':
      case '~':
      case '[':
      case ']':
      case '!':
        result += '\\';
        result += c;
        break;
      default:
        result += c;
    }
  return result;
}

/// Text that grows while it is small enough.
class Page {
 public:
  bool add(const std::string& text) {
    if (text_.size() + text.size() + kEndBytes > kMarkdownBytes) return false;
    text_ += text;
    return true;
  }
  void end(const std::string& text) { text_ += text; }
  std::string text() && { return std::move(text_); }

 private:
  std::string text_;
};

struct Section {
  std::string title;
  std::function<bool(const Finding&)> chosen;
  bool timing = false, folded = false;
};

std::string header(const Section& section, std::size_t count) {
  const std::string title = fmt::format("{} ({})", section.title, count);
  std::string text = section.folded ? "\n<details><summary>" + title + "</summary>\n\n" : "\n## " + title + "\n\n";
  if (section.timing)
    return text +
           "| verdict | timing | base | new | change | 95 % interval | p | detectable | "
           "|\n|---|---|---|---|---|---|---|---|---|\n";
  return text + "| verdict | kind | metric | base | new | change | |\n|---|---|---|---|---|---|---|\n";
}

std::string row(const Section& section, const Finding& f) {
  const auto cell = [](const std::string& text) { return escaped(text, kNameBytes); };
  std::string text = fmt::format("| {} | ", verdict_text(f));
  if (!section.timing) text += fmt::format("{} | ", kind_name(f.kind));
  text += fmt::format("{} | {} | {} | {} | ", cell(f.name()), cell(base_value(f)), cell(new_value(f)),
                      signed_percent(f.change));
  if (section.timing) text += fmt::format("{} | {} | {} | ", interval(f), p_value(f), detectable(f));
  return text + escaped(remark(f), kNoteBytes) + " |\n";
}

/// False when not all of it fits; `left` then counts what does not.
void add_section(Page& page, const Section& section, const std::vector<const Finding*>& findings, std::size_t& left) {
  std::vector<const Finding*> chosen;
  for (const Finding* f : findings)
    if (section.chosen(*f)) chosen.push_back(f);
  if (chosen.empty()) return;
  if (left > 0 || !page.add(header(section, chosen.size()))) {
    left += chosen.size();
    return;
  }
  for (const Finding* f : chosen)
    if (left > 0 || !page.add(row(section, *f))) ++left;
  if (section.folded) page.end("\n</details>\n");
}

bool changed(const Finding& f) { return f.verdict != Verdict::unchanged; }

}  // namespace

std::string to_markdown(const Outcome& outcome, bool strict, const std::string& details) {
  Page page;
  page.add(fmt::format("# aneval compare: {}\n\n", escaped(headline(outcome, strict), 1000)));
  for (const std::string& refusal : outcome.refusals) page.add("> **Refused**: " + escaped(refusal, 1000) + "\n\n");
  for (const auto& [name, value] : outcome.facts)
    page.add(fmt::format("* {}: {}\n", escaped(name, kNameBytes), escaped(value, kNoteBytes)));
  for (std::size_t i = 0; i < outcome.warnings.size() && i < kMostWarnings; ++i)
    page.add("\n> " + escaped(outcome.warnings[i], 1000) + "\n");
  if (outcome.warnings.size() > kMostWarnings)
    page.add(fmt::format("\n> … and {} more warnings\n", outcome.warnings.size() - kMostWarnings));

  const auto timing = [](const Finding& f) { return f.kind == Kind::timing; };
  const std::vector<Section> sections = {
      {"What fails", [&](const Finding& f) { return fails(f) && !timing(f); }},
      {"Timings that fail", [&](const Finding& f) { return fails(f) && timing(f); }, true},
      {"Expected changes", [](const Finding& f) { return !f.expected.empty(); }},
      {"Timings that changed or are open",
       [&](const Finding& f) { return changed(f) && !fails(f) && f.expected.empty() && timing(f); }, true},
      {"Other changes", [&](const Finding& f) { return changed(f) && !fails(f) && f.expected.empty() && !timing(f); }},
      {"Unchanged timings", [&](const Finding& f) { return !changed(f) && timing(f); }, true, true},
      {"Unchanged", [&](const Finding& f) { return !changed(f) && !timing(f); }, false, true},
  };
  const auto findings = worst_first(outcome);
  std::size_t left = 0;
  for (const Section& section : sections) add_section(page, section, findings, left);
  if (left > 0)
    page.end(fmt::format("\n{} of {} findings are left out here: {}\n", left, findings.size(), escaped(details, 300)));
  return std::move(page).text();
}

}  // namespace aneval::gate
