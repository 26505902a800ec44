;; Opens the file "f" of the first mount until that fails, closes one and opens it again, and exits with the errno of
;; the failure; with 255 if closing did not make room.
(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 64) "f")
  (func $open (result i32)
    (call $path_open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 1)
      (i32.const 0) (i64.const 2) (i64.const 2) (i32.const 0) (i32.const 0)))
  (func (export "_start")
    (local $errno i32)
    (block $full
      (loop $next
        (local.set $errno (call $open))
        (br_if $full (local.get $errno))
        (br $next)))
    (drop (call $fd_close (i32.load (i32.const 0))))
    (if (call $open) (then (call $proc_exit (i32.const 255))))
    (call $proc_exit (local.get $errno))))
