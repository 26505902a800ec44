;; Imports what tells of signals, and never looks.
(module
  (import "sampan_signal" "pending" (func $pending (result i32)))
  (memory (export "memory") 1)
  (func (export "_start") (loop $forever (br $forever))))
