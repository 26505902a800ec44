;; A WASI p2 command that prints the setting of the name its argument says, or "none"; without an argument all settings
;; as NAME=VALUE. Fails if it is told of an error.
(component $settings
  (import "wasi:io/error@0.2.3" (instance $io-error (export "error" (type (sub resource)))))
  (alias export $io-error "error" (type $io-failure))
  (import "wasi:io/streams@0.2.3" (instance $streams
    (alias outer $settings $io-failure (type $outer-error))
    (export "error" (type $error (eq $outer-error)))
    (export "output-stream" (type $output (sub resource)))
    (type $failure (variant (case "last-operation-failed" (own $error)) (case "closed")))
    (export "stream-error" (type $stream-error (eq $failure)))
    (export "[method]output-stream.blocking-write-and-flush"
      (func (param "self" (borrow $output)) (param "contents" (list u8)) (result (result (error $stream-error)))))))
  (alias export $streams "output-stream" (type $output-stream))
  (import "wasi:cli/stdout@0.2.3" (instance $stdout
    (alias outer $settings $output-stream (type $outer-output))
    (export "output-stream" (type $output (eq $outer-output)))
    (export "get-stdout" (func (result (own $output))))))
  (import "wasi:cli/environment@0.2.3" (instance $environment
    (export "get-arguments" (func (result (list string))))))
  (import "wasi:config/store@0.2.0-rc.1" (instance $store
    (type $failures (variant (case "upstream" string) (case "io" string)))
    (export "error" (type $error (eq $failures)))
    (export "get" (func (param "key" string) (result (result (option string) (error $error)))))
    (export "get-all" (func (result (result (list (tuple string string)) (error $error)))))))

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
  (core func $get (canon lower (func $store "get") (memory $memory) (realloc $realloc) string-encoding=utf8))
  (core func $get-all (canon lower (func $store "get-all") (memory $memory) (realloc $realloc) string-encoding=utf8))

  (core module $main
    (import "libc" "memory" (memory 2))
    (import "host" "get-stdout" (func $get-stdout (result i32)))
    (import "host" "write" (func $write (param i32 i32 i32 i32)))
    (import "host" "get-arguments" (func $get-arguments (param i32)))
    (import "host" "get" (func $get (param i32 i32 i32)))
    (import "host" "get-all" (func $get-all (param i32)))
    (global $out (mut i32) (i32.const 0))
    ;; The list of arguments is at 0; where an argument is and how long it is:
    (func $ptr (param $n i32) (result i32)
      (i32.load (i32.add (i32.load (i32.const 0)) (i32.mul (local.get $n) (i32.const 8)))))
    (func $len (param $n i32) (result i32)
      (i32.load offset=4 (i32.add (i32.load (i32.const 0)) (i32.mul (local.get $n) (i32.const 8)))))
    (func $say (param $at i32) (param $length i32)
      (call $write (global.get $out) (local.get $at) (local.get $length) (i32.const 512)))
    (func $begin
      (global.set $out (call $get-stdout))
      (call $get-arguments (i32.const 0)))
    (data (i32.const 64) "none=\n")
    (func $one (result i32)
      (call $get (call $ptr (i32.const 1)) (call $len (i32.const 1)) (i32.const 16))
      (if (i32.load8_u (i32.const 16)) (then (return (i32.const 1))))
      (if (i32.load8_u (i32.const 20))
        (then (call $say (i32.load (i32.const 24)) (i32.load (i32.const 28))))
        (else (call $say (i32.const 64) (i32.const 4))))
      (call $say (i32.const 69) (i32.const 1))
      (i32.const 0))
    (func $all (result i32)
      (local $at i32) (local $left i32)
      (call $get-all (i32.const 16))
      (if (i32.load8_u (i32.const 16)) (then (return (i32.const 1))))
      (local.set $at (i32.load (i32.const 20)))
      (local.set $left (i32.load (i32.const 24)))
      (block $done (loop $next
        (br_if $done (i32.eqz (local.get $left)))
        (call $say (i32.load (local.get $at)) (i32.load offset=4 (local.get $at)))
        (call $say (i32.const 68) (i32.const 1))
        (call $say (i32.load offset=8 (local.get $at)) (i32.load offset=12 (local.get $at)))
        (call $say (i32.const 69) (i32.const 1))
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (local.set $left (i32.sub (local.get $left) (i32.const 1)))
        (br $next)))
      (i32.const 0))
    (func (export "run") (result i32)
      (call $begin)
      (if (result i32) (i32.gt_u (i32.load (i32.const 4)) (i32.const 1))
        (then (call $one))
        (else (call $all)))))
  (core instance $main (instantiate $main
    (with "libc" (instance $libc))
    (with "host" (instance
      (export "get-stdout" (func $get-stdout))
      (export "write" (func $write))
      (export "get-arguments" (func $get-arguments))
      (export "get" (func $get))
      (export "get-all" (func $get-all))))))

  (func $run (result (result)) (canon lift (core func $main "run")))
  (instance $api (export "run" (func $run)))
  (export "wasi:cli/run@0.2.3" (instance $api)))
