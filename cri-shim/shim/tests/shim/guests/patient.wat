;; Asks for 32 MiB of memory until it has them, then ends.
(module
  (memory (export "memory") 1)
  (func (export "_start")
    (loop $again
      (br_if $again (i32.eq (memory.grow (i32.const 512)) (i32.const -1))))))
