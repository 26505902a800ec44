;; Never gets as far as being called: its start function does not end.
(module
  (memory (export "memory") 1)
  (func $forever (loop $forever (br $forever)))
  (start $forever)
  (func (export "_start")))
