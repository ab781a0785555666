// Errors of the whole project: an exception that says what failed, why, and what to do about it, and that knows the
// exit code it means. It is thrown anywhere and caught once, in cli/, which prints `aneval: <what>: <why>: <remedy>`.
#pragma once

#include <stdexcept>
#include <string>

namespace aneval {

/// Exit codes of every command (one per run).
enum class ExitCode : int {
  ok = 0,
  check_failed = 1,   // a check that was run did not hold
  bad_input = 2,      // arguments or input files are wrong
  refused = 3,        // the device or the environment refused
  missing = 4,        // benchmarks missing or failed (compare)
  deterministic = 5,  // a deterministic metric changed (compare)
};

/// Messages quote names and values of files: a line break in them would end the line that scripts read, and an escape
/// sequence would reach the terminal. Control characters become '?'.
inline std::string without_control_characters(std::string text) {
  for (char& c : text)
    if (static_cast<unsigned char>(c) < ' ' || c == 0x7F) c = '?';
  return text;
}

class Error : public std::runtime_error {
 public:
  /// `subject` names the thing and its place (file, file:line:col, option, kernel), `reason` what is wrong with it,
  /// `remedy` what the user can do. No part ends in a full stop; all of it is one line, whatever the parts quote.
  Error(ExitCode code, std::string subject, std::string reason, std::string remedy)
      : std::runtime_error(without_control_characters(subject + ": " + reason + ": " + remedy)),
        code_(code),
        subject_(without_control_characters(std::move(subject))),
        reason_(without_control_characters(std::move(reason))),
        remedy_(without_control_characters(std::move(remedy))) {}

  ExitCode code() const { return code_; }
  const std::string& subject() const { return subject_; }
  const std::string& reason() const { return reason_; }
  const std::string& remedy() const { return remedy_; }

 private:
  ExitCode code_;
  std::string subject_, reason_, remedy_;
};

/// Wrong arguments or input files: exit code 2.
inline Error input_error(std::string subject, std::string reason, std::string remedy) {
  return {ExitCode::bad_input, std::move(subject), std::move(reason), std::move(remedy)};
}

/// The device or the environment refused: exit code 3.
inline Error refusal(std::string subject, std::string reason, std::string remedy) {
  return {ExitCode::refused, std::move(subject), std::move(reason), std::move(remedy)};
}

}  // namespace aneval
