;; Wants 64 MiB to begin with.
(module
  (memory (export "memory") 1024)
  (func (export "_start")))
