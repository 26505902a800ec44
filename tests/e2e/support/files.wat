;; Arguments: name, verb, path, text. Finds the mount that the absolute path lies in, as libraries do.
;; "cat" prints up to 4 KiB of the file. "write" replaces the file by the text. "follow" prints the file again and again,
;; whenever it begins differently. "fill" writes 64 KiB again and again. Exits with the errno of what failed, or 0.
(module
  (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_get" (func $prestat_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_dir_name" (func $prestat_dir_name (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 4)
  (global $mount (mut i32) (i32.const 0))
  (global $rest (mut i32) (i32.const 0))
  (global $rest_length (mut i32) (i32.const 0))
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
  (func $equal (param $one i32) (param $other i32) (param $length i32) (result i32)
    (block $differ
      (loop $next
        (if (i32.eqz (local.get $length)) (then (return (i32.const 1))))
        (local.set $length (i32.sub (local.get $length) (i32.const 1)))
        (br_if $differ (i32.ne
          (i32.load8_u (i32.add (local.get $one) (local.get $length)))
          (i32.load8_u (i32.add (local.get $other) (local.get $length)))))
        (br $next)))
    (i32.const 0))
  (func $find (param $path i32)
    (local $fd i32) (local $name i32) (local $best i32) (local $length i32)
    (local.set $length (call $length (local.get $path)))
    (local.set $fd (i32.const 3))
    (local.set $best (i32.const -1))
    (block $done
      (loop $next
        (br_if $done (call $prestat_get (local.get $fd) (i32.const 512)))
        (local.set $name (i32.load (i32.const 516)))
        (drop (call $prestat_dir_name (local.get $fd) (i32.const 8192) (local.get $name)))
        ;; The root's name is one slash, which is the path's as well.
        (if (i32.eq (local.get $name) (i32.const 1)) (then (local.set $name (i32.const 0))))
        (if (i32.and
              (i32.and (i32.lt_u (local.get $name) (local.get $length))
                (i32.gt_s (local.get $name) (local.get $best)))
              (i32.and (call $equal (local.get $path) (i32.const 8192) (local.get $name))
                (i32.eq (i32.load8_u (i32.add (local.get $path) (local.get $name))) (i32.const 47))))
          (then
            (local.set $best (local.get $name))
            (global.set $mount (local.get $fd))))
        (local.set $fd (i32.add (local.get $fd) (i32.const 1)))
        (br $next)))
    (if (i32.lt_s (local.get $best) (i32.const 0)) (then (call $proc_exit (i32.const 44))))
    (global.set $rest (i32.add (local.get $path) (i32.add (local.get $best) (i32.const 1))))
    (global.set $rest_length (i32.sub (local.get $length) (i32.add (local.get $best) (i32.const 1)))))
  ;; The descriptor, or the errno negated.
  (func $open (param $oflags i32) (param $rights i64) (result i32)
    (local $errno i32)
    (local.set $errno (call $path_open (global.get $mount) (i32.const 1) (global.get $rest) (global.get $rest_length)
      (local.get $oflags) (local.get $rights) (i64.const 0) (i32.const 0) (i32.const 600)))
    (if (local.get $errno) (then (return (i32.sub (i32.const 0) (local.get $errno)))))
    (i32.load (i32.const 600)))
  ;; Reads the file to 16384 and returns its length; ends the program if it cannot.
  (func $read (result i32)
    (local $fd i32)
    (local.set $fd (call $open (i32.const 0) (i64.const 2)))
    (if (i32.lt_s (local.get $fd) (i32.const 0)) (then
      (call $proc_exit (i32.sub (i32.const 0) (local.get $fd)))))
    (i32.store (i32.const 608) (i32.const 16384))
    (i32.store (i32.const 612) (i32.const 4096))
    (call $check (call $fd_read (local.get $fd) (i32.const 608) (i32.const 1) (i32.const 616)))
    (drop (call $fd_close (local.get $fd)))
    (i32.load (i32.const 616)))
  (func $write (param $fd i32) (param $at i32) (param $length i32)
    (i32.store (i32.const 608) (local.get $at))
    (i32.store (i32.const 612) (local.get $length))
    (call $check (call $fd_write (local.get $fd) (i32.const 608) (i32.const 1) (i32.const 616))))
  (func $writable (result i32)
    (local $fd i32)
    (local.set $fd (call $open (i32.const 9) (i64.const 66)))
    (if (i32.lt_s (local.get $fd) (i32.const 0)) (then
      (call $proc_exit (i32.sub (i32.const 0) (local.get $fd)))))
    (local.get $fd))
  (func $pause
    (i64.store (i32.const 704) (i64.const 0))
    (i32.store8 (i32.const 712) (i32.const 0))
    (i32.store (i32.const 720) (i32.const 1))
    (i64.store (i32.const 728) (i64.const 20000000))
    (i64.store (i32.const 736) (i64.const 0))
    (i32.store16 (i32.const 744) (i32.const 0))
    (drop (call $poll (i32.const 704) (i32.const 800) (i32.const 1) (i32.const 900))))
  (func (export "_start")
    (local $verb i32) (local $text i32) (local $length i32) (local $fd i32) (local $last i32)
    (call $check (call $args_get (i32.const 64) (i32.const 1024)))
    (local.set $verb (i32.load8_u (i32.load (i32.const 68))))
    (call $find (i32.load (i32.const 72)))
    (local.set $text (i32.load (i32.const 76)))
    (if (i32.eq (local.get $verb) (i32.const 99)) (then ;; cat
      (local.set $length (call $read))
      (call $write (i32.const 1) (i32.const 16384) (local.get $length))))
    (if (i32.eq (local.get $verb) (i32.const 119)) (then ;; write
      (local.set $fd (call $writable))
      (call $write (local.get $fd) (local.get $text) (call $length (local.get $text)))))
    (if (i32.eq (i32.load (i32.load (i32.const 68))) (i32.const 0x6c6c6966)) (then ;; fill
      (local.set $fd (call $writable))
      (loop $more
        (call $write (local.get $fd) (i32.const 65536) (i32.const 65536))
        (br $more))))
    (if (i32.eq (i32.load (i32.load (i32.const 68))) (i32.const 0x6c6c6f66)) (then ;; follow
      (loop $again
        (i32.store (i32.const 16384) (i32.const 0))
        (local.set $length (call $read))
        (if (i32.ne (local.get $last) (i32.load (i32.const 16384))) (then
          (local.set $last (i32.load (i32.const 16384)))
          (call $write (i32.const 1) (i32.const 16384) (local.get $length))
          (i32.store8 (i32.const 16384) (i32.const 10))
          (call $write (i32.const 1) (i32.const 16384) (i32.const 1))))
        (call $pause)
        (br $again))))))
