;; Fails inside a named function.
(module
  (memory (export "memory") 1)
  (func $divide_everything (result i32) (i32.div_s (i32.const 1) (i32.const 0)))
  (func $main (export "_start") (drop (call $divide_everything))))
