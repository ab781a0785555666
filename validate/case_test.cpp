// The text of a case is its identity: it must read back to the same case, and wrong text must be named.
#include "validate/case.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <set>

#include "ane/kernels/kernel.h"
#include "common/error.h"
#include "validate/suites.h"

namespace aneval::validate {
namespace {

using ::testing::HasSubstr;
using ::testing::IsSupersetOf;
using ::testing::Not;

TEST(CaseText, EverySuiteCaseReadsBackToItself) {
  const auto registry = ane::KernelRegistry::builtin();
  SuiteOptions options;
  options.extent = Extent::full;
  auto cases = edge_cases(registry, options);
  for (const ModelShape& shape : model_presets()) {
    options.shape = shape;
    const auto more = shape_cases(registry, options);
    cases.insert(cases.end(), more.begin(), more.end());
  }
  ASSERT_GT(cases.size(), 200u);
  for (const Case& c : cases) {
    const Case back = parse_case(case_text(c));
    EXPECT_EQ(case_text(back), case_text(c));
    EXPECT_EQ(back.shape, c.shape);
    EXPECT_EQ(back.variant, c.variant);
    EXPECT_EQ(back.seed, c.seed);
  }
}

TEST(CaseText, APresetIsNamedAndAnyOtherShapeIsSpelledOut) {
  Case c;
  c.kernel = "woFwd";
  c.shape = load_model_shape("Qwen3-0.6B");
  EXPECT_EQ(case_text(c), "kernel=woFwd;model=Qwen3-0.6B;seq=256;data=random;amp=1;seed=1");
  c.shape.hidden = 100;
  EXPECT_THAT(case_text(c), HasSubstr("hidden=100"));
  EXPECT_EQ(parse_case(case_text(c)).shape, c.shape);
}

TEST(CaseText, TheLossScaleIsLeftOutAtOne) {
  Case c;
  c.kernel = "qBwd";
  c.shape = load_model_shape("Stories110M");
  EXPECT_THAT(case_text(c), Not(HasSubstr("loss_scale")));
  c.loss_scale = 0x1p-3;
  EXPECT_THAT(case_text(c), HasSubstr(";loss_scale=0.125;"));
  EXPECT_EQ(parse_case(case_text(c)).loss_scale, 0.125);
}

TEST(CaseText, EveryKindOfDataReadsBackToItself) {
  for (const DataKind kind : {DataKind::random, DataKind::exact, DataKind::real, DataKind::init, DataKind::sinks,
                              DataKind::means, DataKind::repeats}) {
    Case c;
    c.kernel = "woFwd";
    c.shape = load_model_shape("Stories110M");
    c.data = kind;
    EXPECT_THAT(case_text(c), HasSubstr("data=" + std::string(data_kind_name(kind))));
    EXPECT_EQ(parse_case(case_text(c)).data, kind);
    EXPECT_EQ(is_structured(kind),
              data_kind_name(kind) == "sinks" || data_kind_name(kind) == "means" || data_kind_name(kind) == "repeats");
    EXPECT_FALSE(is_structured(kind) && from_model(kind));
  }
}

TEST(CaseText, KeysComeInAnyOrder) {
  const Case c = parse_case("seed=9;seq=64;model=Stories110M;kernel=qBwd;pad=32");
  EXPECT_EQ(c.shape.dim, 768);
  EXPECT_EQ(c.shape.seq, 64);
  EXPECT_EQ(c.variant.pad, ane::Pad::multiple_of_32);
  EXPECT_EQ(c.seed, 9u);
}

// The text leaves out defaults, so what a base shape says must not fill the gaps of a shape that is spelled out.
TEST(CaseText, ASpelledOutShapeOwesNothingToTheBase) {
  Case c;
  c.kernel = "ffnFused";
  c.shape = edge_shapes().front();
  c.shape.name = "Qwen3-0.6B";  // a label that happens to be a preset's name
  c.shape.residual_scale = 1;   // the default, left out of the text
  Case base;
  base.shape = load_model_shape("Stories110M");
  EXPECT_EQ(parse_case(case_text(c), base).shape, c.shape);
}

std::string error_of(const std::string& text) {
  try {
    (void)parse_case(text);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::bad_input);
    return error.what();
  }
  return "";
}

TEST(CaseText, WrongTextIsNamedWithTheRemedy) {
  EXPECT_THAT(error_of("kernel=woFwd;model=Stories110M;sead=1"), HasSubstr("seed"));
  EXPECT_THAT(error_of("kernel=woFwd;model=Stories110M;head_map=cyclik"), HasSubstr("cyclic"));
  EXPECT_THAT(error_of("kernel=woFwd;model=Stories110M;data=rand"), HasSubstr("random"));
  EXPECT_THAT(error_of("kernel=woFwd;model=Stories110M;data=sink"), HasSubstr("sinks"));
  EXPECT_THAT(error_of("kernel=woFwd;model=Stories110M;seq=0"), HasSubstr("seq"));
  EXPECT_THAT(error_of("kernel=woFwd;model=Stories110M;seed=-1"), HasSubstr("seed"));
  EXPECT_THAT(error_of("kernel=woFwd;model=Stories110M;amp=big"), HasSubstr("amp"));
  EXPECT_THAT(error_of("kernel=woFwd;model=Qwen3-0.6"), HasSubstr("Qwen3-0.6B"));
  EXPECT_THAT(error_of("kernel=woFwd;model=unheard-of;dim=64"), HasSubstr("hidden"));
  EXPECT_THAT(error_of("kernel"), HasSubstr("="));
}

TEST(CaseFilter, ComparesMeaningNotSpelling) {
  Case c;
  c.kernel = "woFwd";
  c.shape = load_model_shape("Stories110M");
  EXPECT_TRUE(matches(c, ""));
  EXPECT_TRUE(matches(c, "amp=1.0;kernel=woFwd"));
  EXPECT_TRUE(matches(c, "pad=none"));
  EXPECT_FALSE(matches(c, "pad=32"));
  EXPECT_FALSE(matches(c, "kernel=qBwd"));
  EXPECT_FALSE(matches(c, "data=sinks"));
  c.data = DataKind::sinks;
  EXPECT_TRUE(matches(c, "data=sinks;model=Stories110M"));
  EXPECT_FALSE(matches(c, "data=sinks;layer=2"));
}

TEST(CaseFilter, AnUnknownKeyOrValueIsAnErrorAndNoCaseLess) {
  EXPECT_THROW((void)matches(Case{}, "sead=1"), Error);
  EXPECT_THROW((void)matches(Case{}, "data=sink"), Error);
  EXPECT_THROW((void)matches(Case{}, "kernel"), Error);
}

TEST(Suites, AShapeMeetsEveryKindOfDataOfItsExtent) {
  const auto registry = ane::KernelRegistry::builtin();
  SuiteOptions options;
  options.shape = edge_shapes().front();
  const auto count = [&](const std::string& filter) {
    const auto cases = shape_cases(registry, options);
    return std::count_if(cases.begin(), cases.end(), [&](const Case& c) { return matches(c, filter); });
  };
  EXPECT_EQ(count(""), 37);  // 11 kernels twice, seven with small gradients, eight structured
  EXPECT_EQ(count("data=exact"), 11);
  EXPECT_EQ(count("data=random"), 18);
  EXPECT_EQ(count("data=sinks"), 3);  // sdpaFwd, sdpaBwd1, sdpaBwd2
  EXPECT_EQ(count("data=sinks;kernel=sdpaFwd"), 1);
  EXPECT_EQ(count("data=means"), 5);  // woFwd, ffnBwdW2t, wotBwd, qBwd, dynMatmul
  options.extent = Extent::full;
  EXPECT_EQ(count("data=random"), 54);
  EXPECT_EQ(count("data=random;amp=0.3;grad=0.001"), 7);
  EXPECT_EQ(count("kernel=qBwd;amp=2.5"), 2);
  EXPECT_EQ(count("kernel=woFwd;amp=2.5"), 1);  // no gradient goes in
  for (const DataKind kind : kStructuredKinds) EXPECT_EQ(count("data=" + std::string(data_kind_name(kind))), 11);
}

TEST(Suites, EdgeShapesReachEveryEdge) {
  std::set<std::int64_t> ratios, head_dims, lengths;
  bool odd_width = false, ragged = false;
  for (const ModelShape& shape : edge_shapes()) {
    EXPECT_NO_THROW(check_shape(shape, shape.name));
    ratios.insert(shape.ratio());
    head_dims.insert(shape.head_dim);
    lengths.insert(shape.seq);
    odd_width |= (shape.dim & (shape.dim - 1)) != 0;
    ragged |= shape.seq % 32 != 0;
  }
  EXPECT_THAT(ratios, IsSupersetOf({1, 2, 4, 8}));
  EXPECT_THAT(head_dims, IsSupersetOf({16, 32, 64, 128}));
  EXPECT_TRUE(lengths.contains(1));
  EXPECT_TRUE(odd_width);
  EXPECT_TRUE(ragged);
}

}  // namespace
}  // namespace aneval::validate
