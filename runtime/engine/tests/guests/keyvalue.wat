;; A WASI p2 command on a bucket: its arguments are a letter, a bucket, a key and a value. "s" sets, "g" prints the value
;; or "none", "d" removes, "i" adds one and prints the sum in one digit or more, "l" prints the keys of the first page.
;; Prints the error and fails if there is one.
(component $keyvalue
  (import "wasi:io/error@0.2.3" (instance $io-error (export "error" (type (sub resource)))))
  (alias export $io-error "error" (type $io-failure))
  (import "wasi:io/streams@0.2.3" (instance $streams
    (alias outer $keyvalue $io-failure (type $outer-error))
    (export "error" (type $error (eq $outer-error)))
    (export "output-stream" (type $output (sub resource)))
    (type $failure (variant (case "last-operation-failed" (own $error)) (case "closed")))
    (export "stream-error" (type $stream-error (eq $failure)))
    (export "[method]output-stream.blocking-write-and-flush"
      (func (param "self" (borrow $output)) (param "contents" (list u8)) (result (result (error $stream-error)))))))
  (alias export $streams "output-stream" (type $output-stream))
  (import "wasi:cli/stdout@0.2.3" (instance $stdout
    (alias outer $keyvalue $output-stream (type $outer-output))
    (export "output-stream" (type $output (eq $outer-output)))
    (export "get-stdout" (func (result (own $output))))))
  (import "wasi:cli/environment@0.2.3" (instance $environment
    (export "get-arguments" (func (result (list string))))))
  (import "wasi:keyvalue/store@0.2.0-draft" (instance $store
    (type $failures (variant (case "no-such-store") (case "access-denied") (case "other" string)))
    (export "error" (type $error (eq $failures)))
    (type $page (record (field "keys" (list string)) (field "cursor" (option u64))))
    (export "key-response" (type $key-response (eq $page)))
    (export "bucket" (type $bucket (sub resource)))
    (export "open" (func (param "identifier" string) (result (result (own $bucket) (error $error)))))
    (export "[method]bucket.get" (func (param "self" (borrow $bucket)) (param "key" string)
      (result (result (option (list u8)) (error $error)))))
    (export "[method]bucket.set" (func (param "self" (borrow $bucket)) (param "key" string)
      (param "value" (list u8)) (result (result (error $error)))))
    (export "[method]bucket.delete" (func (param "self" (borrow $bucket)) (param "key" string)
      (result (result (error $error)))))
    (export "[method]bucket.list-keys" (func (param "self" (borrow $bucket)) (param "cursor" (option u64))
      (result (result $key-response (error $error)))))))
  (alias export $store "bucket" (type $bucket))
  (alias export $store "error" (type $store-error))
  (import "wasi:keyvalue/atomics@0.2.0-draft" (instance $atomics
    (alias outer $keyvalue $bucket (type $outer-bucket))
    (export "bucket" (type $bucket (eq $outer-bucket)))
    (alias outer $keyvalue $store-error (type $outer-error))
    (export "error" (type $error (eq $outer-error)))
    (export "increment" (func (param "bucket" (borrow $bucket)) (param "key" string) (param "delta" u64)
      (result (result u64 (error $error)))))))

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
  (core func $open (canon lower (func $store "open") (memory $memory) (realloc $realloc) string-encoding=utf8))
  (core func $get (canon lower
    (func $store "[method]bucket.get") (memory $memory) (realloc $realloc) string-encoding=utf8))
  (core func $set (canon lower
    (func $store "[method]bucket.set") (memory $memory) (realloc $realloc) string-encoding=utf8))
  (core func $delete (canon lower
    (func $store "[method]bucket.delete") (memory $memory) (realloc $realloc) string-encoding=utf8))
  (core func $list-keys (canon lower
    (func $store "[method]bucket.list-keys") (memory $memory) (realloc $realloc) string-encoding=utf8))
  (core func $increment (canon lower
    (func $atomics "increment") (memory $memory) (realloc $realloc) string-encoding=utf8))

  (core module $main
    (import "libc" "memory" (memory 2))
    (import "host" "get-stdout" (func $get-stdout (result i32)))
    (import "host" "write" (func $write (param i32 i32 i32 i32)))
    (import "host" "get-arguments" (func $get-arguments (param i32)))
    (import "host" "open" (func $open (param i32 i32 i32)))
    (import "host" "get" (func $get (param i32 i32 i32 i32)))
    (import "host" "set" (func $set (param i32 i32 i32 i32 i32 i32)))
    (import "host" "delete" (func $delete (param i32 i32 i32 i32)))
    (import "host" "list-keys" (func $list-keys (param i32 i32 i64 i32)))
    (import "host" "increment" (func $increment (param i32 i32 i32 i64 i32)))
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
    (data (i32.const 64) "no-such-store\naccess-denied\nnone\n ")
    ;; Prints what the error at an address says.
    (func $fail (param $at i32) (result i32)
      (if (i32.eqz (i32.load8_u (local.get $at))) (then (call $say (i32.const 64) (i32.const 14))))
      (if (i32.eq (i32.load8_u (local.get $at)) (i32.const 1)) (then (call $say (i32.const 78) (i32.const 14))))
      (if (i32.eq (i32.load8_u (local.get $at)) (i32.const 2)) (then
        (call $say (i32.load offset=4 (local.get $at)) (i32.load offset=8 (local.get $at)))
        (call $say (i32.const 77) (i32.const 1))))
      (i32.const 1))
    (func $say-number (param $number i64)
      (local $at i32)
      (local.set $at (i32.const 400))
      (loop $digit
        (local.set $at (i32.sub (local.get $at) (i32.const 1)))
        (i32.store8 (local.get $at)
          (i32.add (i32.const 48) (i32.wrap_i64 (i64.rem_u (local.get $number) (i64.const 10)))))
        (local.set $number (i64.div_u (local.get $number) (i64.const 10)))
        (br_if $digit (i64.ne (local.get $number) (i64.const 0))))
      (call $say (local.get $at) (i32.sub (i32.const 400) (local.get $at)))
      (call $say (i32.const 77) (i32.const 1)))
    (func $print-keys
      (local $at i32) (local $left i32)
      (local.set $at (i32.load (i32.const 24)))
      (local.set $left (i32.load (i32.const 28)))
      (block $done (loop $next
        (br_if $done (i32.eqz (local.get $left)))
        (call $say (i32.load (local.get $at)) (i32.load offset=4 (local.get $at)))
        (call $say (i32.const 77) (i32.const 1))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (local.set $left (i32.sub (local.get $left) (i32.const 1)))
        (br $next))))
    (func (export "run") (result i32)
      (local $bucket i32) (local $op i32)
      (call $begin)
      (local.set $op (i32.load8_u (call $ptr (i32.const 1))))
      (call $open (call $ptr (i32.const 2)) (call $len (i32.const 2)) (i32.const 16))
      (if (i32.load8_u (i32.const 16)) (then (return (call $fail (i32.const 20)))))
      (local.set $bucket (i32.load (i32.const 20)))
      (if (i32.eq (local.get $op) (i32.const 115)) (then
        (call $set (local.get $bucket) (call $ptr (i32.const 3)) (call $len (i32.const 3))
          (call $ptr (i32.const 4)) (call $len (i32.const 4)) (i32.const 16))
        (if (i32.load8_u (i32.const 16)) (then (return (call $fail (i32.const 20)))))))
      (if (i32.eq (local.get $op) (i32.const 100)) (then
        (call $delete (local.get $bucket) (call $ptr (i32.const 3)) (call $len (i32.const 3)) (i32.const 16))
        (if (i32.load8_u (i32.const 16)) (then (return (call $fail (i32.const 20)))))))
      (if (i32.eq (local.get $op) (i32.const 103)) (then
        (call $get (local.get $bucket) (call $ptr (i32.const 3)) (call $len (i32.const 3)) (i32.const 16))
        (if (i32.load8_u (i32.const 16)) (then (return (call $fail (i32.const 20)))))
        (if (i32.load8_u (i32.const 20))
          (then (call $say (i32.load (i32.const 24)) (i32.load (i32.const 28)))
            (call $say (i32.const 77) (i32.const 1)))
          (else (call $say (i32.const 92) (i32.const 5))))))
      (if (i32.eq (local.get $op) (i32.const 105)) (then
        (call $increment (local.get $bucket) (call $ptr (i32.const 3)) (call $len (i32.const 3))
          (i64.const 1) (i32.const 16))
        (if (i32.load8_u (i32.const 16)) (then (return (call $fail (i32.const 24)))))
        (call $say-number (i64.load (i32.const 24)))))
      (if (i32.eq (local.get $op) (i32.const 108)) (then
        (call $list-keys (local.get $bucket) (i32.const 0) (i64.const 0) (i32.const 16))
        (if (i32.load8_u (i32.const 16)) (then (return (call $fail (i32.const 24)))))
        (call $print-keys)))
      (i32.const 0)))
  (core instance $main (instantiate $main
    (with "libc" (instance $libc))
    (with "host" (instance
      (export "get-stdout" (func $get-stdout))
      (export "write" (func $write))
      (export "get-arguments" (func $get-arguments))
      (export "open" (func $open))
      (export "get" (func $get))
      (export "set" (func $set))
      (export "delete" (func $delete))
      (export "list-keys" (func $list-keys))
      (export "increment" (func $increment))))))

  (func $run (result (result)) (canon lift (core func $main "run")))
  (instance $api (export "run" (func $run)))
  (export "wasi:cli/run@0.2.3" (instance $api)))
