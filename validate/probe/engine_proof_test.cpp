// The proof that an engine computes: which arithmetic gives it, what it costs, and what is no answer.
#include "validate/probe/engine_proof.h"

#include <gmock/gmock.h>

#include "common/error.h"
#include "validate/emulated_device.h"
#include "validate/faulty_device.h"

namespace aneval::validate {
namespace {

using ::testing::HasSubstr;

/// What require() throws; `ok` and no text when it does not.
std::pair<Status, std::string> refused(EngineProof& proof) {
  try {
    proof.require();
    return {Status::ok, ""};
  } catch (const ane::DeviceError& error) {
    EXPECT_EQ(error.code(), ExitCode::refused);
    return {error.status(), error.what()};
  }
}

TEST(EngineProof, EveryChipGivesItAndIsAskedOnce) {
  for (const std::string name : {"h13", "h14", "h15", "h16", "h17", "h18"}) {
    const auto device = make_device(name);
    EngineProof proof(*device);
    EXPECT_EQ(proof.compiles(), 0);
    EXPECT_EQ(refused(proof).first, Status::ok) << name;
    EXPECT_EQ(refused(proof).first, Status::ok) << name;
    EXPECT_EQ(proof.compiles(), 1) << name;
    EXPECT_EQ(device->counters().compile_attempts, 1) << name;
    EXPECT_EQ(device->counters().evaluations, 2) << name;
  }
}

TEST(EngineProof, ACpuDoesNotGiveItAndIsNotAskedAgain) {
  const auto device = make_device("ieee");
  EngineProof proof(*device);
  for (int i = 0; i < 2; ++i) {
    const auto [status, text] = refused(proof);
    EXPECT_EQ(status, Status::not_on_engine);
    EXPECT_THAT(text, HasSubstr("16384 + 16384 = 32768, 2048 + 1 = 2048"));
  }
  EXPECT_EQ(proof.compiles(), 1);
}

TEST(EngineProof, WhatAnswersInfinityToEverythingIsNoEngine) {
  FaultyDevice device(make_device("h16"), [](std::int64_t, std::span<ane::half_t> output) {
    std::ranges::fill(output, ane::half_t{0x7C00});
  });
  EngineProof proof(device);
  const auto [status, text] = refused(proof);
  EXPECT_EQ(status, Status::not_on_engine);
  EXPECT_THAT(text, HasSubstr("16384 + 16384 = inf, 2048 + 1 = inf"));
}

TEST(EngineProof, AFailureIsNoAnswerAndTheNextCallAsksAgain) {
  FaultyDevice device(make_device("h16"), [](std::int64_t evaluation, std::span<ane::half_t> output) {
    if (evaluation == 1) output[5] = 0x1234;
  });
  EngineProof proof(device);
  const auto [status, text] = refused(proof);
  EXPECT_EQ(status, Status::unstable);
  EXPECT_THAT(text, HasSubstr("proof that the engine computes: matmul: "));
  EXPECT_EQ(refused(proof).first, Status::ok);
  EXPECT_EQ(proof.compiles(), 2);
}

}  // namespace
}  // namespace aneval::validate
