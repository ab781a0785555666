// A history as a page of the report: points, levels, where they changed and with which commit.
#pragma once

#include "reports/gate/history_judge.h"
#include "reports/report.h"

namespace aneval::gate {

reports::Page history_page(const History& history, const HistoryJudgement& judgement);

}  // namespace aneval::gate
