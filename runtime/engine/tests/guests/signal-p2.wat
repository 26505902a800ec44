;; A WASI p2 command that blocks until it is asked to end, and succeeds if it then sees the signal.
(component $command
  (import "wasi:io/poll@0.2.0" (instance $poll
    (export "pollable" (type $pollable (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
  (alias export $poll "pollable" (type $pollable))
  (import "sampan:signal/signals@0.1.0" (instance $signals
    (alias outer $command $pollable (type $outer-pollable))
    (export "pollable" (type $own-pollable (eq $outer-pollable)))
    (type $signal-type (enum "terminate"))
    (export "signal" (type $signal (eq $signal-type)))
    (export "pending" (func (result (option $signal))))
    (export "subscribe" (func (result (own $own-pollable))))))

  (core module $libc (memory (export "memory") 1))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))
  (core func $pending (canon lower (func $signals "pending") (memory $memory)))
  (core func $subscribe (canon lower (func $signals "subscribe")))
  (core func $block (canon lower (func $poll "[method]pollable.block")))
  (core func $drop (canon resource.drop $pollable))

  (core module $main
    (import "libc" "memory" (memory 1))
    (import "host" "pending" (func $pending (param i32)))
    (import "host" "subscribe" (func $subscribe (result i32)))
    (import "host" "block" (func $block (param i32)))
    (import "host" "drop" (func $drop (param i32)))
    (func (export "run") (result i32) (local $pollable i32)
      (local.set $pollable (call $subscribe))
      (call $block (local.get $pollable))
      (call $drop (local.get $pollable))
      (call $pending (i32.const 0))
      ;; 0 is success: some(terminate) is the bytes 1, 0.
      (i32.ne (i32.load16_u (i32.const 0)) (i32.const 1))))
  (core instance $main (instantiate $main
    (with "libc" (instance $libc))
    (with "host" (instance
      (export "pending" (func $pending))
      (export "subscribe" (func $subscribe))
      (export "block" (func $block))
      (export "drop" (func $drop))))))

  (func $run (result (result)) (canon lift (core func $main "run")))
  (instance $api (export "run" (func $run)))
  (export "wasi:cli/run@0.2.3" (instance $api)))
