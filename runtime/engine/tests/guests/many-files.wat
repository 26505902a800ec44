;; Makes empty files of different names in the first mount until that fails, and exits with the errno of that.
(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (local $number i32) (local $errno i32)
    (loop $more
      ;; Four letters from a to p: the number in base 16.
      (i32.store8 (i32.const 64) (i32.add (i32.const 97) (i32.and (local.get $number) (i32.const 15))))
      (i32.store8 (i32.const 65) (i32.add (i32.const 97)
        (i32.and (i32.shr_u (local.get $number) (i32.const 4)) (i32.const 15))))
      (i32.store8 (i32.const 66) (i32.add (i32.const 97)
        (i32.and (i32.shr_u (local.get $number) (i32.const 8)) (i32.const 15))))
      (i32.store8 (i32.const 67) (i32.add (i32.const 97)
        (i32.and (i32.shr_u (local.get $number) (i32.const 12)) (i32.const 15))))
      (local.set $errno (call $path_open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 4)
        (i32.const 1) (i64.const 66) (i64.const 0) (i32.const 0) (i32.const 0)))
      (if (local.get $errno) (then (call $proc_exit (local.get $errno))))
      (drop (call $fd_close (i32.load (i32.const 0))))
      (local.set $number (i32.add (local.get $number) (i32.const 1)))
      (br $more))))
