;; Arguments: name, path, text, descriptor. Creates or truncates the path in the mount of that descriptor (a digit; the
;; first mount is 3, and meant if it is left out), writes the text, and exits with the errno of what failed, or 0.
(module
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (func $length (param $text i32) (result i32)
    (local $end i32)
    (local.set $end (local.get $text))
    (block $done
      (loop $next
        (br_if $done (i32.eqz (i32.load8_u (local.get $end))))
        (local.set $end (i32.add (local.get $end) (i32.const 1)))
        (br $next)))
    (i32.sub (local.get $end) (local.get $text)))
  (func $mount (param $text i32) (result i32)
    (if (result i32) (local.get $text)
      (then (i32.sub (i32.load8_u (local.get $text)) (i32.const 48)))
      (else (i32.const 3))))
  (func $check (param $errno i32)
    (if (local.get $errno) (then (call $proc_exit (local.get $errno)))))
  (func (export "_start")
    (call $check (call $args_get (i32.const 64) (i32.const 1024)))
    ;; O_CREAT | O_TRUNC, rights to read and write, symbolic links are followed.
    (call $check (call $path_open (call $mount (i32.load (i32.const 76))) (i32.const 1)
      (i32.load (i32.const 68)) (call $length (i32.load (i32.const 68)))
      (i32.const 9) (i64.const 66) (i64.const 66) (i32.const 0) (i32.const 0)))
    (i32.store (i32.const 8) (i32.load (i32.const 72)))
    (i32.store (i32.const 12) (call $length (i32.load (i32.const 72))))
    (call $check (call $fd_write (i32.load (i32.const 0)) (i32.const 8) (i32.const 1) (i32.const 16)))))
