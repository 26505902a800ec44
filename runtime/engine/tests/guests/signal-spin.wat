;; Computes, and looks now and then whether it was asked to end: then it returns.
(module
  (import "sampan_signal" "pending" (func $pending (result i32)))
  (memory (export "memory") 1)
  (func (export "_start") (loop $more (br_if $more (i32.eqz (call $pending))))))
