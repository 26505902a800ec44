;; Waits to be asked to end, then says so and exits with the signal's number.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (import "sampan_signal" "wait" (func $wait (param i64) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "waiting\n")
  (data (i32.const 32) "goodbye\n")
  (func $print (param $at i32)
    (i32.store (i32.const 0) (local.get $at))
    (i32.store (i32.const 4) (i32.const 8))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
  (func (export "_start") (local $signal i32)
    ;; A wait that is over before it began, then one without end.
    (if (call $wait (i64.const 0)) (then unreachable))
    (call $print (i32.const 16))
    (local.set $signal (call $wait (i64.const -1)))
    (call $print (i32.const 32))
    (call $proc_exit (local.get $signal))))
