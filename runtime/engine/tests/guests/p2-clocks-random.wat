;; Asks the clocks and the three sources of random numbers of WASI p2. Exits with 0, or with the number of what is wrong:
;; 1 the wall clock is before 2020, 2 it has no resolution, 3 the monotonic clock goes back, 4 it has no resolution,
;; 5 random numbers repeat, 6 insecure ones do, 7 the seed is zero.
(component
  (import "wasi:clocks/wall-clock@0.2.3" (instance $wall
    (type $time (record (field "seconds" u64) (field "nanoseconds" u32)))
    (export "datetime" (type $datetime (eq $time)))
    (export "now" (func (result $datetime)))
    (export "resolution" (func (result $datetime)))))
  (import "wasi:clocks/monotonic-clock@0.2.3" (instance $monotonic
    (export "now" (func (result u64)))
    (export "resolution" (func (result u64)))))
  (import "wasi:random/random@0.2.3" (instance $random
    (export "get-random-u64" (func (result u64)))))
  (import "wasi:random/insecure@0.2.3" (instance $insecure
    (export "get-insecure-random-u64" (func (result u64)))))
  (import "wasi:random/insecure-seed@0.2.3" (instance $seed
    (export "insecure-seed" (func (result (tuple u64 u64))))))
  (import "wasi:cli/exit@0.2.12" (instance $exit
    (export "exit-with-code" (func (param "status-code" u8)))))

  (core module $libc (memory (export "memory") 1))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))

  (core func $wall-now (canon lower (func $wall "now") (memory $memory)))
  (core func $wall-resolution (canon lower (func $wall "resolution") (memory $memory)))
  (core func $now (canon lower (func $monotonic "now")))
  (core func $resolution (canon lower (func $monotonic "resolution")))
  (core func $random-number (canon lower (func $random "get-random-u64")))
  (core func $insecure-number (canon lower (func $insecure "get-insecure-random-u64")))
  (core func $insecure-seed (canon lower (func $seed "insecure-seed") (memory $memory)))
  (core func $exit-with-code (canon lower (func $exit "exit-with-code")))

  (core module $main
    (import "libc" "memory" (memory 1))
    (import "host" "wall-now" (func $wall-now (param i32)))
    (import "host" "wall-resolution" (func $wall-resolution (param i32)))
    (import "host" "now" (func $now (result i64)))
    (import "host" "resolution" (func $resolution (result i64)))
    (import "host" "random" (func $random (result i64)))
    (import "host" "insecure" (func $insecure (result i64)))
    (import "host" "seed" (func $seed (param i32)))
    (import "host" "exit" (func $exit (param i32)))
    (func $wrong (param $is i32) (param $number i32)
      (if (local.get $is) (then (call $exit (local.get $number)))))
    (func (export "run") (result i32)
      (local $before i64)
      (call $wall-now (i32.const 0))
      (call $wrong (i64.lt_u (i64.load (i32.const 0)) (i64.const 1577836800)) (i32.const 1))
      (call $wall-resolution (i32.const 0))
      (call $wrong (i64.eqz (i64.or (i64.load (i32.const 0)) (i64.load32_u (i32.const 8)))) (i32.const 2))
      (local.set $before (call $now))
      (call $wrong (i64.lt_u (call $now) (local.get $before)) (i32.const 3))
      (call $wrong (i64.eqz (call $resolution)) (i32.const 4))
      (call $wrong (i64.eq (call $random) (call $random)) (i32.const 5))
      (call $wrong (i64.eq (call $insecure) (call $insecure)) (i32.const 6))
      (call $seed (i32.const 0))
      (call $wrong (i64.eqz (i64.or (i64.load (i32.const 0)) (i64.load (i32.const 8)))) (i32.const 7))
      (i32.const 0)))
  (core instance $main (instantiate $main
    (with "libc" (instance $libc))
    (with "host" (instance
      (export "wall-now" (func $wall-now))
      (export "wall-resolution" (func $wall-resolution))
      (export "now" (func $now))
      (export "resolution" (func $resolution))
      (export "random" (func $random-number))
      (export "insecure" (func $insecure-number))
      (export "seed" (func $insecure-seed))
      (export "exit" (func $exit-with-code))))))

  (func $run (result (result)) (canon lift (core func $main "run")))
  (instance $api (export "run" (func $run)))
  (export "wasi:cli/run@0.2.3" (instance $api)))
