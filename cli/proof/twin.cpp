// One function that nothing calls: makes an aneval that is another file and does the same (gate_proof.py).
namespace aneval {

[[gnu::used]] int unused_function_of_the_twin(int x) { return 3 * x + 1; }

}  // namespace aneval
