#include "reports/format.h"

#include <gtest/gtest.h>

namespace aneval::reports {
namespace {

TEST(Format, TimesTakeTheUnitThatFits) {
  EXPECT_EQ(time_text(812), "812 ns");
  EXPECT_EQ(time_text(0.5), "0.500 ns");
  EXPECT_EQ(time_text(3056789), "3.06 ms");
  EXPECT_EQ(time_text(12345), "12.3 µs");
  EXPECT_EQ(time_text(2.5e9), "2.50 s");
  EXPECT_EQ(time_text(0), "0 ns");
}

TEST(Format, ThreeDigits) {
  EXPECT_EQ(number3(0), "0");
  EXPECT_EQ(number3(0.1234), "0.123");
  EXPECT_EQ(number3(-1.5), "-1.50");
  EXPECT_EQ(number3(123.4), "123");
  EXPECT_EQ(number3(999.6), "1000");
  EXPECT_EQ(number3(0.00012), "1.20e-04");
  EXPECT_EQ(number3(2.5e7), "2.50e+07");
}

TEST(Format, Percent) {
  EXPECT_EQ(percent(0.05), "5.0 %");
  EXPECT_EQ(percent(0.412), "41 %");
  EXPECT_EQ(percent(0.0996), "10 %");
  EXPECT_EQ(percent(2.2), "220 %");
}

}  // namespace
}  // namespace aneval::reports
