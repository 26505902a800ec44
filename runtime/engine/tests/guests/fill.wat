;; Arguments: name, path, and more. Creates the path in the first mount and writes 1 KiB again and again until that
;; fails. With two arguments it exits with the errno of that; with more it empties the file then and writes once more.
(module
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_pwrite" (func $fd_pwrite (param i32 i32 i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_filestat_set_size" (func $set_size (param i32 i64) (result i32)))
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
  (func $check (param $errno i32)
    (if (local.get $errno) (then (call $proc_exit (local.get $errno)))))
  (func (export "_start")
    (local $errno i32)
    (call $check (call $args_sizes_get (i32.const 32) (i32.const 36)))
    (call $check (call $args_get (i32.const 64) (i32.const 1024)))
    (call $check (call $path_open (i32.const 3) (i32.const 1)
      (i32.load (i32.const 68)) (call $length (i32.load (i32.const 68)))
      (i32.const 9) (i64.const 0x400042) (i64.const 66) (i32.const 0) (i32.const 0)))
    (i32.store (i32.const 8) (i32.const 8192))
    (i32.store (i32.const 12) (i32.const 1024))
    (loop $more
      (local.set $errno (call $fd_write (i32.load (i32.const 0)) (i32.const 8) (i32.const 1) (i32.const 16)))
      (br_if $more (i32.eqz (local.get $errno))))
    (if (i32.le_u (i32.load (i32.const 32)) (i32.const 2)) (then (call $proc_exit (local.get $errno))))
    (call $check (call $set_size (i32.load (i32.const 0)) (i64.const 0)))
    (call $check (call $fd_pwrite (i32.load (i32.const 0)) (i32.const 8) (i32.const 1) (i64.const 0) (i32.const 16)))))
