// Presets, the JSON form in both directions, and one error for each field that can be impossible.
#include "ane/model_shape.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "common/error.h"

namespace aneval {
namespace {

using testing::AllOf;
using testing::HasSubstr;

/// A model file with one field replaced ("\"dim\":0") or, when `field` has no colon, removed.
std::string model_file(const std::string& field = "") {
  const std::string name = field.substr(0, field.find(':'));
  std::string text;
  for (const std::string entry :
       {"\"name\":\"tiny\"", "\"dim\":64", "\"hidden\":172", "\"heads\":8", "\"kv_heads\":4", "\"head_dim\":8",
        "\"seq\":32", "\"layers\":5", "\"vocab\":512", "\"rope_base\":500000", "\"rope_pairing\":\"half\"",
        "\"rms_eps\":1e-6", "\"residual_scale\":1"}) {
    const bool chosen = entry.starts_with(name + ":") && !name.empty();
    if (chosen && field == name) continue;
    text += (text.empty() ? "{" : ",") + (chosen ? field : entry);
  }
  return text + "}";
}

std::string error_of(const std::string& json) {
  try {
    parse_model_shape(json, "tiny.json");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::bad_input);
    EXPECT_THAT(error.what(), HasSubstr("tiny.json"));
    return error.what();
  }
  return "accepted";
}

TEST(ModelShape, PresetsOfTheSeed) {
  const ModelShape stories = load_model_shape("stories110m"), qwen = load_model_shape("Qwen3-0.6B");
  EXPECT_EQ(stories.name, "Stories110M");
  EXPECT_EQ(stories.dim, 768);
  EXPECT_EQ(stories.hidden, 2048);
  EXPECT_EQ(stories.q_dim(), 768);
  EXPECT_EQ(stories.ratio(), 1);
  EXPECT_EQ(stories.vocab, 32000);
  EXPECT_DOUBLE_EQ(stories.residual_scale, 1 / std::sqrt(24.0));
  EXPECT_EQ(qwen.dim, 1024);
  EXPECT_EQ(qwen.hidden, 3072);
  EXPECT_EQ(qwen.q_dim(), 2048);  // not dim: head_dim is a number of its own
  EXPECT_EQ(qwen.kv_dim(), 1024);
  EXPECT_EQ(qwen.ratio(), 2);
  EXPECT_EQ(qwen.layers, 28);
  EXPECT_EQ(qwen.seq, 256);
  EXPECT_EQ(qwen.vocab, 151936);
  EXPECT_EQ(qwen.rope_base, 10000.0);
  EXPECT_EQ(qwen.rope_pairing, RopePairing::interleaved);
  EXPECT_EQ(qwen.rms_eps, 1e-5);
  for (const ModelShape& shape : model_presets()) EXPECT_NO_THROW(check_shape(shape, shape.name));
}

TEST(ModelShape, UnknownPresetIsAnsweredWithTheNearest) {
  try {
    load_model_shape("Qwen3-0.6");
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("Qwen3-0.6B"), HasSubstr("Stories110M")));
  }
}

TEST(ModelShape, FileIsReadAndAMissingOneNamed) {
  const auto file = std::filesystem::path(testing::TempDir()) / "aneval_model_shape_test.json";
  std::ofstream(file) << model_file();
  EXPECT_EQ(load_model_shape(file.string()), parse_model_shape(model_file(), "x"));
  std::filesystem::remove(file);
  EXPECT_THROW(load_model_shape(file.string()), Error);
}

TEST(ModelShape, EveryFieldIsRead) {
  const ModelShape shape = parse_model_shape(model_file(), "tiny.json");
  const ModelShape expected = {.name = "tiny",
                               .dim = 64,
                               .hidden = 172,
                               .heads = 8,
                               .kv_heads = 4,
                               .head_dim = 8,
                               .seq = 32,
                               .layers = 5,
                               .vocab = 512,
                               .rope_base = 500000,
                               .rope_pairing = RopePairing::half,
                               .rms_eps = 1e-6,
                               .residual_scale = 1};
  EXPECT_EQ(shape, expected);
}

TEST(ModelShape, Defaults) {
  const ModelShape shape = parse_model_shape(
      R"({"name":"t","dim":64,"hidden":172,"heads":8,"kv_heads":4,"head_dim":8,"seq":32,"layers":8,"vocab":512})", "t");
  EXPECT_EQ(shape.rope_base, 10000.0);
  EXPECT_EQ(shape.rope_pairing, RopePairing::interleaved);
  EXPECT_EQ(shape.rms_eps, 1e-5);
  EXPECT_EQ(shape.residual_scale, 0.25);
  EXPECT_EQ(parse_model_shape(model_file("\"residual_scale\":\"1/sqrt(2L)\""), "t").residual_scale,
            1 / std::sqrt(10.0));
}

TEST(ModelShape, JsonReadsBack) {
  std::vector<ModelShape> shapes = model_presets();
  shapes.push_back(parse_model_shape(model_file(), "t"));
  shapes.back().residual_scale = 0.1;
  shapes.back().rope_base = 1.0 / 3;
  for (const ModelShape& shape : shapes) EXPECT_EQ(parse_model_shape(model_shape_json(shape), "t"), shape);
  EXPECT_THAT(model_shape_json(model_presets()[0]), HasSubstr("\"residual_scale\": \"1/sqrt(2L)\""));
}

TEST(ModelShape, ImpossibleFieldsAreNamed) {
  for (const char* field : {"dim", "hidden", "heads", "kv_heads", "head_dim", "seq", "layers", "vocab"}) {
    const std::string key = std::string("\"") + field + "\"";
    EXPECT_THAT(error_of(model_file(key + ":0")), HasSubstr(std::string(field) + ": is 0"));
    EXPECT_THAT(error_of(model_file(key + ":-8")), HasSubstr(std::string(field) + ": is -8"));
    EXPECT_THAT(error_of(model_file(key + ":8.5")), HasSubstr(std::string(field) + ": 8.5 is not a whole number"));
    EXPECT_THAT(error_of(model_file(key + ":9223372036854775808")), HasSubstr("not a whole number of 64 bits"));
    EXPECT_THAT(error_of(model_file(key + ":\"8\"")), HasSubstr("is not a whole number"));
    EXPECT_THAT(error_of(model_file(key)), HasSubstr(std::string(field) + ": missing"));
  }
  EXPECT_THAT(error_of(model_file("\"name\"")), HasSubstr("name: missing"));
  EXPECT_THAT(error_of(model_file("\"name\":7")), HasSubstr("name: 7 is not a name"));
  EXPECT_THAT(error_of(model_file("\"name\":\"\"")), HasSubstr("is not a name"));
  EXPECT_THAT(error_of(model_file("\"kv_heads\":3")), HasSubstr("heads: 8 is not a multiple of kv_heads 3"));
  EXPECT_THAT(error_of(model_file("\"head_dim\":7")), HasSubstr("head_dim: 7 is odd"));
  EXPECT_THAT(error_of(model_file("\"rope_base\":0")), HasSubstr("rope_base: is 0"));
  EXPECT_THAT(error_of(model_file("\"rope_base\":\"10000\"")), HasSubstr("rope_base: \"10000\" is not a number"));
  EXPECT_THAT(error_of(model_file("\"rope_pairing\":\"halves\"")), HasSubstr("rope_pairing: \"halves\" is unknown"));
  EXPECT_THAT(error_of(model_file("\"rms_eps\":-1e-5")), HasSubstr("rms_eps: is -1e-05"));
  EXPECT_THAT(error_of(model_file("\"residual_scale\":\"1/sqrt(L)\"")), HasSubstr("residual_scale"));
  EXPECT_THAT(error_of(model_file("\"residual_scale\":null")), HasSubstr("residual_scale"));
}

TEST(ModelShape, SizesThatOverflowNameTheirFields) {
  EXPECT_THAT(error_of(model_file("\"dim\":4611686018427387904")), AllOf(HasSubstr("dim"), HasSubstr("sdpaFwd")));
  EXPECT_THAT(error_of(model_file("\"hidden\":1000000000000")), AllOf(HasSubstr("hidden"), HasSubstr("ffnFused")));
  EXPECT_THAT(error_of(model_file("\"seq\":1000000")), AllOf(HasSubstr("seq"), HasSubstr("sdpaBwd1")));
  EXPECT_THAT(error_of(model_file("\"vocab\":9000000000000000000")), HasSubstr("vocab"));
  EXPECT_THAT(error_of(model_file("\"layers\":9000000000000000000")), HasSubstr("layers"));
  // A surface of just under 2^40 bytes is legal: probs and dp of sdpaBwd2 dominate, 4·H·S².
  EXPECT_EQ(error_of(model_file("\"seq\":180000")), "accepted");
}

TEST(ModelShape, ShapesMadeByProgramsAreCheckedToo) {
  ModelShape shape = model_presets()[0];
  shape.residual_scale = NAN;
  EXPECT_THROW(check_shape(shape, "case"), Error);
  shape = model_presets()[0];
  shape.rope_base = INFINITY;
  EXPECT_THROW(check_shape(shape, "case"), Error);
}

TEST(ModelShape, MalformedFiles) {
  EXPECT_THAT(error_of("{\"name\":"), HasSubstr("malformed JSON"));
  EXPECT_THAT(error_of(""), HasSubstr("malformed JSON"));
  EXPECT_THAT(error_of("[1]"), HasSubstr("not a JSON object"));
  EXPECT_THAT(error_of(model_file("\"dim\":64,\"dim\":32")), HasSubstr("dim: occurs twice"));
  EXPECT_THAT(error_of(model_file("\"dim\":64,\"hiden\":32")), AllOf(HasSubstr("hiden"), HasSubstr("hidden")));
  EXPECT_THAT(error_of(model_file("\"rms_eps\":1e999")), HasSubstr("malformed JSON"));
  EXPECT_EQ(error_of("{\"name\":\"a\nb\"}").find('\n'), std::string::npos);
  EXPECT_THAT(error_of("{\"dim\":" + std::string(100, '[') + std::string(100, ']') + "}"), HasSubstr("nests lists"));
  EXPECT_THAT(error_of(std::string(1 << 17, ' ')), HasSubstr("larger than the 65536 bytes"));
}

}  // namespace
}  // namespace aneval
