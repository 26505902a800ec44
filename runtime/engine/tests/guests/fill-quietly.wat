;; Arguments: name, path, descriptor. Creates or truncates the path in the mount of that descriptor (a digit), and writes
;; 1 KiB again and again until that fails, 4,096 times at most. Without a descriptor it does so in the first mount, and
;; removes the name before it writes. Exits with the errno.
(module
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_unlink_file" (func $unlink (param i32 i32 i32) (result i32)))
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
    (local $errno i32) (local $count i32) (local $mount i32)
    (call $check (call $args_sizes_get (i32.const 32) (i32.const 36)))
    (call $check (call $args_get (i32.const 64) (i32.const 1024)))
    (local.set $mount (i32.const 3))
    (if (i32.gt_u (i32.load (i32.const 32)) (i32.const 2)) (then
      (local.set $mount (i32.sub (i32.load8_u (i32.load (i32.const 72))) (i32.const 48)))))
    (call $check (call $path_open (local.get $mount) (i32.const 1)
      (i32.load (i32.const 68)) (call $length (i32.load (i32.const 68)))
      (i32.const 9) (i64.const 0x400042) (i64.const 66) (i32.const 0) (i32.const 0)))
    (if (i32.le_u (i32.load (i32.const 32)) (i32.const 2)) (then
      (call $check (call $unlink (i32.const 3)
        (i32.load (i32.const 68)) (call $length (i32.load (i32.const 68)))))))
    (i32.store (i32.const 8) (i32.const 8192))
    (i32.store (i32.const 12) (i32.const 1024))
    (local.set $count (i32.const 4096))
    (loop $more
      (local.set $errno (call $fd_write (i32.load (i32.const 0)) (i32.const 8) (i32.const 1) (i32.const 16)))
      (local.set $count (i32.sub (local.get $count) (i32.const 1)))
      (br_if $more (i32.and (i32.eqz (local.get $errno)) (i32.ne (local.get $count) (i32.const 0)))))
    (call $proc_exit (local.get $errno))))
