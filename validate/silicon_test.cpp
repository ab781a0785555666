// Every published reading of a real engine, through the emulator's own path: a MIL program, parsed, checked, planned
// and evaluated under the profile of the chip.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <csv.h>
#include <cmath>
#include <cstring>

#include "ane/emulator/emulator.h"
#include "ane/mil/text.h"
#include "common/names.h"

namespace aneval::validate {
namespace {

struct Reading {
  unsigned line = 0;
  std::string profile, path, source;
  std::vector<float> x, w;
  float bias = 0, expected = 0;
};

float number(const std::string& text, unsigned line) {
  if (text == "inf" || text == "-inf") return text == "inf" ? INFINITY : -INFINITY;
  if (text == "nan") return NAN;
  return static_cast<float>(parse_double(text, "line " + std::to_string(line)));
}

/// "1024;-1024;1*3" is five numbers.
std::vector<float> numbers(const std::string& text, unsigned line) {
  std::vector<float> values;
  for (const std::string& part : split(text, ';')) {
    const std::size_t star = part.find('*');
    const std::int64_t count = star == std::string::npos ? 1 : parse_int(part.substr(star + 1), "count");
    values.insert(values.end(), static_cast<std::size_t>(count), number(part.substr(0, star), line));
  }
  return values;
}

std::vector<Reading> readings() {
  io::CSVReader<7, io::trim_chars<>, io::double_quote_escape<',', '"'>> file("validate/silicon/measurements.csv");
  file.read_header(io::ignore_no_column, "profile", "path", "x", "w", "bias", "expected", "source");
  std::vector<Reading> all;
  std::string profile, path, x, w, bias, expected, source;
  while (file.read_row(profile, path, x, w, bias, expected, source)) {
    const unsigned line = file.get_file_line();
    Reading reading;
    reading.line = line;
    reading.profile = profile;
    reading.path = path;
    reading.source = source;
    reading.x = numbers(x, line);
    if (!w.empty()) reading.w = numbers(w, line);
    if (!bias.empty()) reading.bias = number(bias, line);
    reading.expected = number(expected, line);
    all.push_back(std::move(reading));
  }
  return all;
}

/// fp16 bits, NaN as 0x7E00: what lies on a surface.
StoredTensor stored(const std::vector<std::int64_t>& shape, const std::vector<float>& values) {
  StoredTensor tensor{"F16", shape, std::vector<std::byte>(values.size() * 2)};
  for (std::size_t i = 0; i < values.size(); ++i) {
    const ane::half_t bits = std::isnan(values[i]) ? ane::half_t{0x7E00} : ane::to_half(values[i]);
    std::memcpy(tensor.bytes.data() + 2 * i, &bits, 2);
  }
  return tensor;
}

std::vector<float> run(const std::string& profile, const std::string& parameters, const std::string& body,
                       const StoredTensors& inputs) {
  const std::string text = "program(1.3)\n{\n  func main<ios18>(" + parameters + ") {\n" + body + "  } -> (y);\n}\n";
  const mil::Program program = mil::parse(text, "reading.mil");
  const Tensor y = emulator::run_program(program, {}, inputs, emulator::find_profile(profile), nullptr).at("y");
  return {y.data.begin(), y.data.end()};
}

/// The same dot product in every element of [m, n]: small results take other ways through a matmul than large ones.
std::vector<float> matmul(const Reading& r, std::int64_t m, std::int64_t n) {
  const auto k = static_cast<std::int64_t>(r.x.size());
  std::vector<float> a, b;
  for (std::int64_t i = 0; i < m; ++i) a.insert(a.end(), r.x.begin(), r.x.end());
  for (const float value : r.w) b.insert(b.end(), static_cast<std::size_t>(n), value);
  return run(r.profile, fmt::format("tensor<fp16, [{}, {}]> a, tensor<fp16, [{}, {}]> b", m, k, k, n),
             fmt::format("bool no = const()[name = string(\"no\"), val = bool(false)];\n"
                         "tensor<fp16, [{}, {}]> y = matmul(transpose_x = no, transpose_y = no, x = a, y = b)[name = "
                         "string(\"y\")];\n",
                         m, n),
             {{"a", stored({m, k}, a)}, {"b", stored({k, n}, b)}});
}

std::vector<float> conv(const Reading& r, std::int64_t channels, std::int64_t width) {
  const auto k = static_cast<std::int64_t>(r.x.size());
  std::vector<float> x, w;
  for (const float value : r.x) x.insert(x.end(), static_cast<std::size_t>(width), value);
  for (std::int64_t i = 0; i < channels; ++i) w.insert(w.end(), r.w.begin(), r.w.end());
  std::string biases = fmt::format("{}", r.bias);
  for (std::int64_t i = 1; i < channels; ++i) biases += fmt::format(", {}", r.bias);
  return run(
      r.profile, fmt::format("tensor<fp16, [1, {}, 1, {}]> x, tensor<fp16, [{}, {}, 1, 1]> w", k, width, channels, k),
      fmt::format("tensor<fp16, [{0}]> bi = const()[name = string(\"bi\"), val = tensor<fp16, [{0}]>([{2}])];\n"
                  "tensor<fp16, [1, {0}, 1, {1}]> y = conv(bias = bi, weight = w, x = x)[name = string(\"y\")];\n",
                  channels, width, biases),
      {{"x", stored({1, k, 1, width}, x)}, {"w", stored({channels, k, 1, 1}, w)}});
}

std::vector<float> elementwise(const Reading& r) {
  return run(r.profile, "tensor<fp16, [1]> a, tensor<fp16, [1]> b",
             "tensor<fp16, [1]> y = " + r.path + "(x = a, y = b)[name = string(\"y\")];\n",
             {{"a", stored({1}, r.x)}, {"b", stored({1}, r.w)}});
}

/// The value lies behind one that the slice leaves out.
std::vector<float> slice(const Reading& r) {
  return run(r.profile, "tensor<fp16, [1, 2]> a",
             "tensor<int32, [2]> begin = const()[name = string(\"begin\"), val = tensor<int32, [2]>([0, 1])];\n"
             "tensor<int32, [2]> size = const()[name = string(\"size\"), val = tensor<int32, [2]>([1, 1])];\n"
             "tensor<fp16, [1, 1]> y = slice_by_size(begin = begin, size = size, x = a)[name = string(\"y\")];\n",
             {{"a", stored({1, 2}, {1, r.x.front()})}});
}

void expect_reading(const Reading& r, const std::vector<float>& got) {
  ASSERT_FALSE(got.empty());
  for (const float value : got)
    ASSERT_TRUE(value == r.expected && std::signbit(value) == std::signbit(r.expected + 0.0F))
        << "measurements.csv line " << r.line << ": " << r.profile << " " << r.path << " gives " << value
        << ", the engine " << r.expected << " [" << r.source << "]";
}

TEST(Silicon, EveryReadingIsReproduced) {
  const std::vector<Reading> all = readings();
  std::int64_t dots = 0;
  for (const Reading& r : all) {
    if (r.path == "matmul" || r.path == "conv") {
      ++dots;
      for (const auto& [m, n] : {std::pair<std::int64_t, std::int64_t>{1, 1}, {7, 70}}) {
        if (r.bias == 0) expect_reading(r, matmul(r, m, n));
        expect_reading(r, conv(r, m, n));
      }
    } else if (r.path == "slice") {
      expect_reading(r, slice(r));
    } else {
      expect_reading(r, elementwise(r));
    }
  }
  EXPECT_EQ(dots, 118);  // 107 of M4, 4 of M6, 3 of M1, 4 thresholds
  EXPECT_EQ(all.size(), 165U);
}

}  // namespace
}  // namespace aneval::validate
