// aneval train: a model trained on a device, against the fp32 reference and controls from the same seed and data.
#include <fmt/format.h>

#include <cmath>

#include "cli/interrupt.h"
#include "cli/train_runs.h"
#include "common/error.h"
#include "common/files.h"
#include "train/grammar.h"
#include "validate/weights/load_weights.h"
#include "validate/weights/weights.h"

namespace aneval::cli {
namespace {

namespace fs = std::filesystem;

struct TrainOptions {
  DeviceOptions device;
  TrainRunOptions runs;
  train::TrainSettings settings;
  std::optional<std::int64_t> layers;
  std::int64_t look_every = 10, checkpoint_every = 10;
  std::string data, tokenizer, weights, out = "training", checkpoint, dump_names = "own";
  std::vector<std::int64_t> dump_steps;
  int token_bits = 0;
};

/// Trained when neither model nor weights are named: large enough to learn the grammar, small enough for any machine.
constexpr std::string_view kSmallModel =
    R"({"name": "small-gqa", "dim": 64, "hidden": 128, "heads": 4, "kv_heads": 2, "head_dim": 16, "seq": 64,
        "layers": 2, "vocab": 256})";

constexpr std::int64_t kGrammarBytes = 1 << 18;  // text of the grammar, when there are no other data

void check_arguments(const TrainOptions& o) {
  const auto require = [](bool holds, const char* option, const char* reason, const char* remedy) {
    if (!holds) throw input_error(option, reason, remedy);
  };
  require(o.settings.loss_scale > 0 && std::isfinite(o.settings.loss_scale), "--loss-scale", "is no positive number",
          "give a power of two, e.g. 256");
  require(o.settings.schedule.peak > 0 && std::isfinite(o.settings.schedule.peak), "--lr", "is no positive number",
          "give e.g. 0.001");
  require(o.settings.clip >= 0 && std::isfinite(o.settings.clip), "--clip", "is no norm",
          "give a positive number, or 0 for none");
  require(o.token_bits == 0 || (!o.data.empty() && o.tokenizer.empty()), "--token-bits",
          "says how wide the ids of a token file are", "give the file as --data, without a tokenizer");
  require(o.tokenizer.empty() || !o.data.empty(), "--tokenizer", "needs a text", "give it as --data");
  for (const std::int64_t step : o.dump_steps)
    if (step >= o.settings.schedule.steps)
      throw input_error(fmt::format("--dump-step {}", step),
                        fmt::format("the run has steps 0 to {}", o.settings.schedule.steps - 1), "choose one of them");
  require(o.dump_names != "hf" || o.device.parsed_variant().head_map != ane::HeadMap::cyclic, "--dump-names hf",
          "models with cyclic heads have other key/value heads there", "dump own names");
  require(o.runs.controls != 1, "--controls", "one has no spread", "give at least 2, or 0 for no verdict");
}

validate::Weights read_model(const TrainOptions& o) {
  const bool small = o.device.model.empty() && o.weights.empty();
  if (!o.weights.empty()) {
    validate::Weights weights = validate::load_weights(o.weights, o.device.named_shape());
    reference::Model& model = weights.model;
    if (o.layers && *o.layers > model.shape.layers)
      throw input_error("--layers", fmt::format("the weights have {} layers", model.shape.layers), "give fewer");
    model.shape.layers = o.layers.value_or(model.shape.layers);
    model.layers.resize(static_cast<std::size_t>(model.shape.layers));
    model.shape.seq = o.device.seq.value_or(model.shape.seq);
    check_shape(model.shape, "--seq");
    return weights;
  }
  ModelShape shape = small ? parse_model_shape(kSmallModel, "the small model") : o.device.shape();
  shape.seq = o.device.seq.value_or(shape.seq);
  shape.layers = o.layers.value_or(shape.layers);
  check_shape(shape, "--seq, --layers");
  return {validate::random_model(shape, o.device.seed), {}, shape.vocab, {}};
}

train::TokenIds read_tokens(const TrainOptions& o, std::int64_t vocab) {
  if (o.data.empty()) return train::byte_tokens(train::grammar_text(o.device.seed, kGrammarBytes), vocab);
  if (o.token_bits != 0) return train::read_token_file(o.data, o.token_bits, vocab);
  if (o.tokenizer.empty()) return train::read_text_tokens(o.data, nullptr, vocab);
  const auto tokenizer = reference::Tokenizer::read(o.tokenizer, vocab);
  return train::read_text_tokens(o.data, &tokenizer, vocab);
}

train::Experiment experiment_of(const TrainOptions& o) {
  train::Experiment experiment;
  validate::Weights weights = read_model(o);
  experiment.vocab = weights.vocab;
  const train::TokenIds tokens = read_tokens(o, experiment.vocab);
  experiment.ids = train::occurring_ids(tokens);
  experiment.tokens = train::compact_tokens(tokens, experiment.ids);
  experiment.model = train::compact_model(std::move(weights.model), validate::rows_of_tokens(weights, experiment.ids));
  experiment.settings = o.settings;
  experiment.settings.seed = o.device.seed;
  experiment.look_every = o.look_every;
  experiment.checkpoint_every = o.checkpoint_every;
  // A model that is trained with cyclic heads is held against one that means them; a defect is not.
  experiment.cyclic_heads = o.device.parsed_variant().head_map == ane::HeadMap::cyclic;
  // Too few tokens are found before anything is made of them.
  (void)train::SequenceSampler(experiment.tokens, experiment.model.shape.seq, o.device.seed);
  return experiment;
}

int train_command(const TrainOptions& o) {
  check_arguments(o);
  TrainRunOptions runs = o.runs;
  runs.folder = o.out;
  make_folder(runs.folder);
  runs.checkpoint = o.checkpoint.empty() ? runs.folder / "checkpoint.safetensors" : fs::path(o.checkpoint);
  check_result_file(runs.folder / "results.csv");
  check_writable(runs.checkpoint);
  runs.dump = {{o.dump_steps.begin(), o.dump_steps.end()}, runs.folder, o.dump_names == "hf", {}};
  for (const std::int64_t step : runs.dump.steps) check_writable(runs.dump.file(step));
  train::Experiment experiment = experiment_of(o);
  Session session = open_session(o.device);
  if (session.proof) session.proof->require();
  experiment.pool = session.pool.get();
  watch_interrupts();
  TrainRuns training(runs, o.device, session, experiment);
  write_file(runs.folder / "environment.json", environment_json(session.environment));
  const int code = training.go();
  if (code == kGoOnInFreshProcess) return code;
  fmt::print("{}\n", (runs.folder / "results.csv").string());
  return code;
}

constexpr const char* kFooter =
    "Without --data it trains on sentences of a small grammar, byte by byte, made from --seed; without --model and\n"
    "--weights, a small model with grouped heads. Only the entries of the vocabulary that occur get classifier rows.\n"
    "The controls are fp32 runs whose weights and activations are rounded to fp16 up or down at random. The verdict "
    "is\n"
    "`within` up to 3 of their standard deviations, a difference (exit code 1) beyond 10.";

}  // namespace

void add_train(CLI::App& app, Action& action) {
  auto* command = app.add_subcommand("train", "trains a model on a device, against the fp32 reference");
  auto options = std::make_shared<TrainOptions>();
  TrainOptions& o = *options;
  o.settings.schedule = {.peak = 1e-3, .warmup = 10, .steps = 200};
  add_device_options(*command, o.device);
  const auto count = [&](const char* name, std::int64_t& value, const char* text) {
    command->add_option(name, value, text)->capture_default_str()->check(CLI::PositiveNumber);
  };
  count("--steps", o.settings.schedule.steps, "optimizer steps");
  count("--accum", o.settings.accum, "sequences per step");
  command->add_option("--lr", o.settings.schedule.peak, "peak of the learning rate; a cosine falls to a tenth of it")
      ->capture_default_str();
  command->add_option("--warmup", o.settings.schedule.warmup, "steps of linear rise to the peak")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  command->add_option("--clip", o.settings.clip, "largest global norm of the gradients, 0 for any")
      ->capture_default_str();
  command->add_option("--loss-scale", o.settings.loss_scale, "factor of all gradients within the layers")
      ->capture_default_str();
  command->add_option("--layers", o.layers, "only so many layers of the model")->check(CLI::PositiveNumber);
  command->add_option("--data", o.data, "text, or with --token-bits a file of token ids")->type_name("FILE");
  command->add_option("--token-bits", o.token_bits, "width of the ids in --data: 16, or 32 for large vocabularies")
      ->check(CLI::IsMember({16, 32}));
  command->add_option("--tokenizer", o.tokenizer, "llama2.c tokenizer for the text (without: byte by byte)")
      ->type_name("FILE");
  command
      ->add_option("--weights", o.weights, "start from these weights: llama2.c, safetensors or a Hugging Face folder")
      ->type_name("FILE|FOLDER");
  command->add_option("--out", o.out, "folder for results.csv and checkpoints")
      ->type_name("FOLDER")
      ->capture_default_str();
  command
      ->add_option("--checkpoint", o.checkpoint, "file of the device's run, instead of checkpoint.safetensors in --out")
      ->type_name("FILE");
  command->add_option("--dump-step", o.dump_steps, "write this step to step-N.safetensors in --out (repeatable)")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--dump-names", o.dump_names, "of its tensors: own, or hf for Hugging Face's")
      ->capture_default_str()
      ->check(CLI::IsMember({"own", "hf"}));
  command->add_flag("--resume", o.runs.resume, "continue from the checkpoints, bit for bit");
  command->add_flag("--overlap", o.runs.overlap, "weight gradients on a thread of their own while the device goes on");
  command->add_option("--controls", o.runs.controls, "control runs, 0 for none")
      ->capture_default_str()
      ->check(CLI::Range(0, 100));
  count("--look-every", o.look_every, "steps between comparisons of the gradients");
  count("--checkpoint-every", o.checkpoint_every, "steps between checkpoints");
  command->footer(kFooter);
  command->callback([options, &action] { action = [options] { return train_command(*options); }; });
}

}  // namespace aneval::cli
