#include "tuning/point_result.h"

#include <nlohmann/json.hpp>

#include "common/csv.h"
#include "common/error.h"

namespace aneval::tuning {

std::string result_json(const PointResult& r) {
  return nlohmann::ordered_json{{"status", status_name(r.status)},
                                {"reason", r.reason},
                                {"time_ns", r.time_ns},
                                {"error", r.error},
                                {"bytes", r.bytes},
                                {"program", r.program},
                                {"compiles", r.compiles},
                                {"seconds", r.seconds},
                                {"rows", csv_text(r.rows)}}
      .dump();
}

PointResult parse_result(std::string_view text) {
  const auto j = nlohmann::json::parse(text);
  PointResult r;
  r.status = parse_status(j.at("status").get<std::string>()).value();
  r.reason = j.at("reason");
  r.time_ns = j.at("time_ns");
  r.error = j.at("error");
  r.bytes = j.at("bytes");
  r.program = j.at("program");
  // Of a number with a fraction or an exponent, nlohmann would make whatever the conversion gives.
  if (!j.at("compiles").is_number_integer())
    throw input_error("result of a point", "its compiles are no whole number", "take an undamaged journal");
  r.compiles = j.at("compiles");
  r.seconds = j.at("seconds");
  visit_csv_text(j.at("rows").get<std::string>(), "rows of a point", [&](const Record& row) { r.rows.push_back(row); });
  return r;
}

}  // namespace aneval::tuning
