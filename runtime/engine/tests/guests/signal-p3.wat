;; A WASI p3 command that waits until it is asked to end, and succeeds if it then sees the signal.
(component
  (import "sampan:signal/signals@0.2.0" (instance $signals
    (type $signal-type (enum "terminate"))
    (export "signal" (type $signal (eq $signal-type)))
    (export "pending" (func (result (option $signal))))
    (export "received" (func async (result $signal)))))

  (core module $libc (memory (export "memory") 1))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))
  (core func $pending (canon lower (func $signals "pending") (memory $memory)))
  (core func $received (canon lower (func $signals "received")))
  (core module $main
    (import "libc" "memory" (memory 1))
    (import "host" "pending" (func $pending (param i32)))
    (import "host" "received" (func $received (result i32)))
    (func (export "run") (result i32)
      (if (call $received) (then (return (i32.const 1))))
      (call $pending (i32.const 0))
      (i32.ne (i32.load16_u (i32.const 0)) (i32.const 1))))
  (core instance $main (instantiate $main
    (with "libc" (instance $libc))
    (with "host" (instance
      (export "pending" (func $pending))
      (export "received" (func $received))))))
  (func $run async (result (result)) (canon lift (core func $main "run")))
  (instance $api (export "run" (func $run)))
  (export "wasi:cli/run@0.3.0" (instance $api)))
