// A model's tensors gathered from one or several safetensors files: each is checked, widened and brought to the model's
// pairing of lanes.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/safetensors.h"
#include "reference/model.h"

namespace aneval::validate {

/// Of dumps and checkpoints: the tokens of the embedding's rows, and in the metadata of dumps how many tokens there
/// are.
inline constexpr std::string_view kVocabularyIds = "vocabulary_ids", kVocabularySize = "vocabulary_size";

struct WeightPlan {
  ModelShape shape;               // what the tensors must have; its rope_pairing is what they get
  std::string source;             // what tells the shape, for messages
  RopePairing stored = {};        // pairing of wq and wk in the files
  bool hf_names = false;          // Hugging Face's names
  std::optional<bool> tied = {};  // embedding and classifier; nothing: as the files have it
  bool with_others = false;       // the files may hold more than the weights: gradients, moments, tokens
};

class WeightCollector {
 public:
  /// `names` are those of all tensors in the files, of which `file` tells. Errors: names that the model does not have,
  /// unless there may be others.
  WeightCollector(const WeightPlan& plan, const std::vector<std::string>& names, const std::string& file);
  WeightCollector(const WeightCollector&) = delete;
  WeightCollector& operator=(const WeightCollector&) = delete;

  /// Takes what the model has of a file's tensors. Errors: another shape or type, a value that is not finite.
  void take(StoredTensors& stored, const std::string& file);
  /// The model, once. Errors: a tensor that no file had, tied ones that differ.
  reference::Model finish(const std::string& file);

 private:
  struct Wanted {
    std::string own_name;
    Tensor* tensor;
    std::vector<std::int64_t> shape;
    bool found = false;
  };

  void want(NamedTensors& set, const std::string& prefix, const std::string& name, std::vector<std::int64_t> shape);
  void check_names(const std::vector<std::string>& names, const std::string& file) const;
  [[noreturn]] void refuse(const std::string& name, const std::string& file) const;

  WeightPlan plan_;
  reference::Model model_;
  std::map<std::string, Wanted, std::less<>> wanted_;  // by name in the files
};

}  // namespace aneval::validate
