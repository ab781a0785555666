// A point of a sweep: one kernel or layer, at one shape, under one variant, on one profile, with the settings of the
// call. What a sweep may vary is a table of parameters. To add one: its row in point.cpp.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "ane/apple/apple_device.h"
#include "validate/case.h"

namespace aneval::tuning {

struct Point {
  validate::Case c;
  std::string profile;  // of the emulator, or that an engine is judged by; empty: the default
  unsigned qos = apple::kDefaultQos;
  std::int64_t threads = 1;  // that stage weights
};

/// What decides which points compete: those that differ in knobs alone.
enum class Role {
  context,  // what is computed, and on what: kernel, model, seq, loss_scale, profile
  knob,     // how: every choice of a variant, qos, threads
};

struct Parameter {
  std::string name;
  Role role;
  std::vector<std::string> values;  // all that exist, when they can be listed: what "all" means
  std::function<std::string(const Point&)> get;
  /// Errors (exit 2): a value that the parameter cannot have, with the nearest that it can.
  std::function<void(Point&, const std::string& value)> set;
};

const std::vector<Parameter>& parameters();
/// Errors: unknown, with the nearest known one.
const Parameter& find_parameter(std::string_view name);

/// "profile=h16;threads=2;" (what is not default) and the case's own text: a point's name in journals, and what
/// parse_point reads back.
std::string point_text(const Point& point);
/// Errors (exit 2): as parse_case; `what` names the place.
Point parse_point(std::string_view text, std::string_view what);

/// Of the same context with every knob at its default, or for a kernel of another cut at that cut: what a winner has to
/// beat.
Point default_of(const Point& point);
/// The context alone, as a text: the points of one contest share it.
std::string context_text(const Point& point);
/// The same for people: "sdpaBwd2 Qwen3-0.6B S 256", with head map and loss scale when they are not default.
std::string context_words(const Point& point);
/// The knobs that are not default, "default" when none: "pad=32;threads=2".
std::string knobs_text(const Point& point);
/// How many knobs are not default: of two equally fast points the simpler one wins.
std::size_t knobs_turned(const Point& point);

}  // namespace aneval::tuning
