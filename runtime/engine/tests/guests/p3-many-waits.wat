;; A WASI p3 command that has 20,000 waits for an hour under way at once, and ends then.
(component $many-waits
  (import "wasi:clocks/monotonic-clock@0.3.0" (instance $monotonic
    (export "wait-for" (func async (param "how-long" u64)))))

  (core module $libc (memory (export "memory") 1))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))

  (core func $wait-for (canon lower (func $monotonic "wait-for") async (memory $memory)))

  (core module $main
    (import "host" "wait-for" (func $wait-for (param i64) (result i32)))
    (func (export "run") (result i32)
      (local $left i32)
      (local.set $left (i32.const 20000))
      (loop $more
        (drop (call $wait-for (i64.const 3600000000000)))
        (br_if $more (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
      ;; What is under way would be waited for.
      unreachable))
  (core instance $main (instantiate $main
    (with "host" (instance (export "wait-for" (func $wait-for))))))

  (func $run async (result (result)) (canon lift (core func $main "run")))
  (instance $api (export "run" (func $run)))
  (export "wasi:cli/run@0.3.0" (instance $api)))
