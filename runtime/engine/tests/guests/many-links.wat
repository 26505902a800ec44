;; Makes the file "f" in the first mount and gives it one name after the other until that fails, 4,096 at most. Exits
;; with the errno.
(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_link"
    (func $path_link (param i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 80) "f")
  (func (export "_start")
    (local $number i32) (local $errno i32)
    (local.set $errno (call $path_open (i32.const 3) (i32.const 0) (i32.const 80) (i32.const 1)
      (i32.const 1) (i64.const 66) (i64.const 0) (i32.const 0) (i32.const 0)))
    (if (local.get $errno) (then (call $proc_exit (local.get $errno))))
    (loop $more
      ;; Four letters from a to p: the number in base 16.
      (i32.store8 (i32.const 64) (i32.add (i32.const 97) (i32.and (local.get $number) (i32.const 15))))
      (i32.store8 (i32.const 65) (i32.add (i32.const 97)
        (i32.and (i32.shr_u (local.get $number) (i32.const 4)) (i32.const 15))))
      (i32.store8 (i32.const 66) (i32.add (i32.const 97)
        (i32.and (i32.shr_u (local.get $number) (i32.const 8)) (i32.const 15))))
      (i32.store8 (i32.const 67) (i32.add (i32.const 97)
        (i32.and (i32.shr_u (local.get $number) (i32.const 12)) (i32.const 15))))
      (local.set $errno (call $path_link (i32.const 3) (i32.const 0) (i32.const 80) (i32.const 1)
        (i32.const 3) (i32.const 64) (i32.const 4)))
      (if (local.get $errno) (then (call $proc_exit (local.get $errno))))
      (local.set $number (i32.add (local.get $number) (i32.const 1)))
      (br_if $more (i32.lt_u (local.get $number) (i32.const 4096))))))
