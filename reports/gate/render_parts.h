// What the renderers of an outcome share: what to say first, and how values read.
#pragma once

#include <string>
#include <vector>

#include "reports/gate/outcome.h"

namespace aneval::gate {

/// Whether it makes the comparison fail.
bool fails(const Finding& finding);

/// The order of readers: what fails first (deterministic before missing before slower), then what else changed, what is
/// open, what is new, what is unchanged; larger changes first among equals.
std::vector<const Finding*> worst_first(const Outcome& outcome);

/// "3.06 ms", "812", "a1b2…", "–".
std::string base_value(const Finding& finding);
std::string new_value(const Finding& finding);
/// "+4.2 %", "-0.3 %", "–".
std::string signed_percent(const std::optional<double>& relative);
/// "+1.0 … +4.2 %".
std::string interval(const Finding& finding);
std::string p_value(const Finding& finding);
/// "3.3 %"; "none" where no change of any size would be found.
std::string detectable(const Finding& finding);
/// What is to be said beside the numbers: the note, why it does not gate.
std::string remark(const Finding& finding);

/// The verdict, and "(advisory)" where it fails nothing.
std::string verdict_text(const Finding& finding);

/// Without control characters and line breaks; malformed UTF-8 replaced. For texts that others wrote.
std::string plain(const std::string& text);
/// At most so many bytes, cut between characters, with "…" at the end when it was cut.
std::string cut(const std::string& text, std::size_t bytes);

}  // namespace aneval::gate
