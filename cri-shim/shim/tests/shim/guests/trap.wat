;; Does what Wasm forbids.
(module
  (memory (export "memory") 1)
  (func $divide (result i32) (i32.div_u (i32.const 1) (i32.const 0)))
  (func (export "_start") (drop (call $divide))))
