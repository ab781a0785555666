// An outcome as CSV: every finding, every column.
#include <fmt/format.h>

#include <initializer_list>

#include "common/csv.h"
#include "common/names.h"
#include "reports/gate/render.h"
#include "reports/gate/render_parts.h"

namespace aneval::gate {
namespace {

template <typename Number>
std::string number(const std::optional<Number>& value) {
  if (!value) return {};
  if constexpr (std::is_integral_v<Number>)
    return std::to_string(*value);
  else
    return number_text(*value);
}

void add_line(std::string& out, std::initializer_list<std::string> fields) {
  bool first = true;
  for (const std::string& field : fields) {
    if (!first) out += ',';
    first = false;
    append_csv_field(out, plain(field));
  }
  out += '\n';
}

}  // namespace

std::string to_csv(const Outcome& outcome) {
  std::string out =
      "name,verdict,kind,gating,benchmark,model,seq,layer,kernel,variant,case,item,phase,metric,unit,base,new,"
      "base_text,new_text,change,low,high,p,detectable,tolerance,note,expected\n";
  for (const Finding* f : worst_first(outcome)) {
    const reports::SeriesKey& key = f->key;
    add_line(out, {f->name(),
                   std::string(verdict_name(f->verdict)),
                   std::string(kind_name(f->kind)),
                   f->gating ? "1" : "0",
                   f->benchmark,
                   key.model,
                   number(key.seq),
                   number(key.layer),
                   key.kernel,
                   key.variant,
                   key.case_text,
                   key.item,
                   key.phase,
                   key.metric,
                   f->unit,
                   number(f->base),
                   number(f->now),
                   f->base_text,
                   f->now_text,
                   number(f->change),
                   number(f->low),
                   number(f->high),
                   number(f->p),
                   number(f->detectable),
                   number_text(f->tolerance),
                   f->note,
                   f->expected});
  }
  return out;
}

}  // namespace aneval::gate
