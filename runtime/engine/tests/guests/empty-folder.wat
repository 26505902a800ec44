;; Lists the first mount from places behind its end, where nothing is: exits with 100 otherwise. Then lists it with a
;; buffer for a few names and removes each file it is told of, until the list ends. Exits with the errno of what fails.
(module
  (import "wasi_snapshot_preview1" "fd_readdir" (func $fd_readdir (param i32 i32 i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_unlink_file" (func $unlink (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (func $must (param $errno i32)
    (if (local.get $errno) (then (call $proc_exit (local.get $errno)))))
  (func $nothing (param $cookie i64)
    (call $must
      (call $fd_readdir (i32.const 3) (i32.const 1024) (i32.const 200) (local.get $cookie) (i32.const 0)))
    (if (i32.load (i32.const 0)) (then (call $proc_exit (i32.const 100)))))
  (func (export "_start")
    (local $cookie i64) (local $at i32) (local $name i32) (local $length i32) (local $end i32)
    (call $nothing (i64.const 1000000))
    (call $nothing (i64.const 1000000))
    (call $nothing (i64.const -1))
    (call $nothing (i64.const -1))
    (loop $more
      (call $must
        (call $fd_readdir (i32.const 3) (i32.const 1024) (i32.const 200) (local.get $cookie) (i32.const 0)))
      (local.set $at (i32.const 1024))
      (local.set $end (i32.add (local.get $at) (i32.load (i32.const 0))))
      (block $cut
        (loop $next
          (local.set $name (i32.add (local.get $at) (i32.const 24)))
          (br_if $cut (i32.gt_u (local.get $name) (local.get $end)))
          (local.set $length (i32.load offset=16 (local.get $at)))
          (br_if $cut (i32.gt_u (i32.add (local.get $name) (local.get $length)) (local.get $end)))
          (local.set $cookie (i64.load (local.get $at)))
          (if (i32.eq (i32.load8_u offset=20 (local.get $at)) (i32.const 4))
            (then (call $must (call $unlink (i32.const 3) (local.get $name) (local.get $length)))))
          (local.set $at (i32.add (local.get $name) (local.get $length)))
          (br $next)))
      (br_if $more (i32.eq (i32.load (i32.const 0)) (i32.const 200))))))
