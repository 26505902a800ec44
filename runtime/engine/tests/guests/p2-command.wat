;; A WASI p2 command. Prints a line; then, by the number of its arguments: 1 succeeds, 2 fails, 3 exits with 42,
;; 4 traps.
(component $command
  (import "wasi:io/error@0.2.3" (instance $io-error (export "error" (type (sub resource)))))
  (alias export $io-error "error" (type $error))
  (import "wasi:io/streams@0.2.3" (instance $streams
    (alias outer $command $error (type $outer-error))
    (export "error" (type $error (eq $outer-error)))
    (export "output-stream" (type $output (sub resource)))
    (type $failure (variant (case "last-operation-failed" (own $error)) (case "closed")))
    (export "stream-error" (type $stream-error (eq $failure)))
    (export "[method]output-stream.blocking-write-and-flush"
      (func (param "self" (borrow $output)) (param "contents" (list u8)) (result (result (error $stream-error)))))))
  (alias export $streams "output-stream" (type $output-stream))
  (import "wasi:cli/stdout@0.2.3" (instance $stdout
    (alias outer $command $output-stream (type $outer-output))
    (export "output-stream" (type $output (eq $outer-output)))
    (export "get-stdout" (func (result (own $output))))))
  (import "wasi:cli/environment@0.2.3" (instance $environment
    (export "get-arguments" (func (result (list string))))))
  (import "wasi:cli/exit@0.2.12" (instance $exit
    (export "exit-with-code" (func (param "status-code" u8)))))

  (core module $libc
    (memory (export "memory") 2)
    (global $free (mut i32) (i32.const 4096))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
      (global.set $free (i32.add (local.get $at) (local.get 3)))
      (local.get $at)))
  (core instance $libc (instantiate $libc))
  (alias core export $libc "memory" (core memory $memory))
  (alias core export $libc "realloc" (core func $realloc))

  (core func $get-stdout (canon lower (func $stdout "get-stdout")))
  (core func $write (canon lower
    (func $streams "[method]output-stream.blocking-write-and-flush") (memory $memory)))
  (core func $get-arguments (canon lower
    (func $environment "get-arguments") (memory $memory) (realloc $realloc) string-encoding=utf8))
  (core func $exit-with-code (canon lower (func $exit "exit-with-code")))

  (core module $main
    (import "libc" "memory" (memory 2))
    (import "host" "get-stdout" (func $get-stdout (result i32)))
    (import "host" "write" (func $write (param i32 i32 i32 i32)))
    (import "host" "get-arguments" (func $get-arguments (param i32)))
    (import "host" "exit-with-code" (func $exit-with-code (param i32)))
    (data (i32.const 64) "hello from p2\n")
    (func (export "run") (result i32)
      (call $write (call $get-stdout) (i32.const 64) (i32.const 14) (i32.const 16))
      (call $get-arguments (i32.const 32))
      (if (i32.eq (i32.load (i32.const 36)) (i32.const 3)) (then (call $exit-with-code (i32.const 42))))
      (if (i32.eq (i32.load (i32.const 36)) (i32.const 4)) (then unreachable))
      (i32.eq (i32.load (i32.const 36)) (i32.const 2))))
  (core instance $main (instantiate $main
    (with "libc" (instance $libc))
    (with "host" (instance
      (export "get-stdout" (func $get-stdout))
      (export "write" (func $write))
      (export "get-arguments" (func $get-arguments))
      (export "exit-with-code" (func $exit-with-code))))))

  (func $run (result (result)) (canon lift (core func $main "run")))
  (instance $api (export "run" (func $run)))
  (export "wasi:cli/run@0.2.3" (instance $api)))
