;; A WASI p3 command on the file "f" of its first mount. By the number of its arguments:
;; 1 opens it for writing, 2 creates a folder "g", 3 opens it for reading until that fails and keeps it open,
;; 4 opens it for reading and writes to it by a stream, 5 opens and closes it a hundred times, 6 writes three bytes,
;; 7 writes until that fails, 8 creates a folder whose path has 5,000 bytes.
;; Exits with 100 + n for the error code of number n, or 0.
(component $files
  (import "wasi:cli/environment@0.3.0" (instance $environment
    (export "get-arguments" (func (result (list string))))))
  (import "wasi:cli/exit@0.3.0" (instance $exit
    (export "exit-with-code" (func (param "status-code" u8)))))
  (import "wasi:filesystem/types@0.3.0" (instance $types
    (export "descriptor" (type $descriptor (sub resource)))
    (type $path-bits (flags "symlink-follow"))
    (export "path-flags" (type $path-flags (eq $path-bits)))
    (type $open-bits (flags "create" "directory" "exclusive" "truncate"))
    (export "open-flags" (type $open-flags (eq $open-bits)))
    (type $descriptor-bits (flags
      "read" "write" "file-integrity-sync" "data-integrity-sync" "requested-write-sync" "mutate-directory"))
    (export "descriptor-flags" (type $descriptor-flags (eq $descriptor-bits)))
    (type $codes (variant
      (case "access") (case "already") (case "bad-descriptor") (case "busy") (case "deadlock") (case "quota")
      (case "exist") (case "file-too-large") (case "illegal-byte-sequence") (case "in-progress")
      (case "interrupted") (case "invalid") (case "io") (case "is-directory") (case "loop")
      (case "too-many-links") (case "message-size") (case "name-too-long") (case "no-device") (case "no-entry")
      (case "no-lock") (case "insufficient-memory") (case "insufficient-space") (case "not-directory")
      (case "not-empty") (case "not-recoverable") (case "unsupported") (case "no-tty") (case "no-such-device")
      (case "overflow") (case "not-permitted") (case "pipe") (case "read-only") (case "invalid-seek")
      (case "text-file-busy") (case "cross-device") (case "other" (option string))))
    (export "error-code" (type $error-code (eq $codes)))
    (export "[method]descriptor.open-at" (func async (param "self" (borrow $descriptor))
      (param "path-flags" $path-flags) (param "path" string) (param "open-flags" $open-flags)
      (param "flags" $descriptor-flags) (result (result (own $descriptor) (error $error-code)))))
    (export "[method]descriptor.create-directory-at" (func async (param "self" (borrow $descriptor))
      (param "path" string) (result (result (error $error-code)))))
    (export "[method]descriptor.write-via-stream" (func (param "self" (borrow $descriptor))
      (param "data" (stream u8)) (param "offset" u64) (result (future (result (error $error-code))))))))
  (alias export $types "descriptor" (type $descriptor))
  (alias export $types "error-code" (type $error-code))
  (import "wasi:filesystem/preopens@0.3.0" (instance $preopens
    (alias outer $files $descriptor (type $outer-descriptor))
    (export "descriptor" (type $descriptor (eq $outer-descriptor)))
    (export "get-directories" (func (result (list (tuple (own $descriptor) string)))))))

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

  (type $bytes (stream u8))
  (type $written (future (result (error $error-code))))
  (core func $stream-new (canon stream.new $bytes))
  (core func $stream-write (canon stream.write $bytes async (memory $memory)))
  (core func $stream-drop (canon stream.drop-writable $bytes))
  (core func $future-read (canon future.read $written async
    (memory $memory) (realloc $realloc) string-encoding=utf8))
  (core func $set-new (canon waitable-set.new))
  (core func $set-wait (canon waitable-set.wait (memory $memory)))
  (core func $join (canon waitable.join))
  (core func $open-at (canon lower (func $types "[method]descriptor.open-at")
    (memory $memory) (realloc $realloc) string-encoding=utf8))
  (core func $create-directory-at (canon lower (func $types "[method]descriptor.create-directory-at")
    (memory $memory) (realloc $realloc) string-encoding=utf8))
  (core func $write-via-stream (canon lower (func $types "[method]descriptor.write-via-stream")))
  (core func $get-directories (canon lower (func $preopens "get-directories")
    (memory $memory) (realloc $realloc) string-encoding=utf8))
  (core func $get-arguments (canon lower
    (func $environment "get-arguments") (memory $memory) (realloc $realloc) string-encoding=utf8))
  (core func $exit-with-code (canon lower (func $exit "exit-with-code")))
  (core func $drop-descriptor (canon resource.drop $descriptor))

  (core module $main
    (import "libc" "memory" (memory 2))
    (import "host" "stream-new" (func $stream-new (result i64)))
    (import "host" "stream-write" (func $stream-write (param i32 i32 i32) (result i32)))
    (import "host" "stream-drop" (func $stream-drop (param i32)))
    (import "host" "future-read" (func $future-read (param i32 i32) (result i32)))
    (import "host" "set-new" (func $set-new (result i32)))
    (import "host" "set-wait" (func $set-wait (param i32 i32) (result i32)))
    (import "host" "join" (func $join (param i32 i32)))
    (import "host" "open-at" (func $open-at (param i32 i32 i32 i32 i32 i32 i32)))
    (import "host" "create-directory-at" (func $create-directory-at (param i32 i32 i32 i32)))
    (import "host" "write-via-stream" (func $write-via-stream (param i32 i32 i64) (result i32)))
    (import "host" "get-directories" (func $get-directories (param i32)))
    (import "host" "get-arguments" (func $get-arguments (param i32)))
    (import "host" "exit-with-code" (func $exit-with-code (param i32)))
    (import "host" "drop-descriptor" (func $drop-descriptor (param i32)))
    (data (i32.const 128) "fgabc")
    (global $set (mut i32) (i32.const 0))
    ;; Ends the guest if there is a result of error at an address.
    (func $check (param $result i32)
      (if (i32.load8_u (local.get $result)) (then
        (call $exit-with-code (i32.add (i32.const 100) (i32.load8_u offset=4 (local.get $result)))))))
    (func $open (param $mount i32) (param $flags i32)
      (call $open-at (local.get $mount) (i32.const 0) (i32.const 128) (i32.const 1) (i32.const 0)
        (local.get $flags) (i32.const 64))
      (call $check (i32.const 64)))
    (func $finish (param $end i32) (param $code i32) (result i32)
      (if (i32.ne (local.get $code) (i32.const -1)) (then (return (local.get $code))))
      (call $join (local.get $end) (global.get $set))
      (drop (call $set-wait (global.get $set) (i32.const 16)))
      (call $join (local.get $end) (i32.const 0))
      (i32.load (i32.const 20)))
    ;; Writes three bytes, or with $fill as much as is taken: until the reader of the stream is gone.
    (func $write (param $file i32) (param $fill i32)
      (local $pair i64) (local $stream i32) (local $future i32)
      (global.set $set (call $set-new))
      (local.set $pair (call $stream-new))
      (local.set $stream (i32.wrap_i64 (i64.shr_u (local.get $pair) (i64.const 32))))
      (local.set $future (call $write-via-stream (local.get $file) (i32.wrap_i64 (local.get $pair)) (i64.const 0)))
      (if (local.get $fill)
        (then
          (loop $more
            (br_if $more (i32.ne (i32.const 1) (i32.and (i32.const 15)
              (call $finish (local.get $stream)
                (call $stream-write (local.get $stream) (i32.const 0) (i32.const 50000))))))))
        (else
          (drop (call $finish (local.get $stream)
            (call $stream-write (local.get $stream) (i32.const 130) (i32.const 3))))))
      (call $stream-drop (local.get $stream))
      (drop (call $finish (local.get $future) (call $future-read (local.get $future) (i32.const 96))))
      (call $check (i32.const 96)))
    (func (export "run") (result i32)
      (local $mount i32) (local $count i32) (local $left i32)
      (call $get-arguments (i32.const 0))
      (local.set $count (i32.load (i32.const 4)))
      (call $get-directories (i32.const 8))
      (local.set $mount (i32.load (i32.load (i32.const 8))))
      (if (i32.eq (local.get $count) (i32.const 1)) (then (call $open (local.get $mount) (i32.const 2))))
      (if (i32.eq (local.get $count) (i32.const 2)) (then
        (call $create-directory-at (local.get $mount) (i32.const 129) (i32.const 1) (i32.const 64))
        (call $check (i32.const 64))))
      (if (i32.eq (local.get $count) (i32.const 8)) (then
        (memory.fill (i32.const 8192) (i32.const 103) (i32.const 5000))
        (call $create-directory-at (local.get $mount) (i32.const 8192) (i32.const 5000) (i32.const 64))
        (call $check (i32.const 64))
        (return (i32.const 0))))
      (if (i32.eq (local.get $count) (i32.const 3)) (then
        (loop $more
          (call $open (local.get $mount) (i32.const 1))
          (br $more))))
      (if (i32.eq (local.get $count) (i32.const 4)) (then
        (call $open (local.get $mount) (i32.const 1))
        (call $write (i32.load (i32.const 68)) (i32.const 0))))
      (if (i32.eq (local.get $count) (i32.const 5)) (then
        (local.set $left (i32.const 100))
        (loop $more
          (call $open (local.get $mount) (i32.const 1))
          (call $drop-descriptor (i32.load (i32.const 68)))
          (br_if $more (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))))
      (if (i32.ge_u (local.get $count) (i32.const 6)) (then
        (call $open (local.get $mount) (i32.const 2))
        (call $write (i32.load (i32.const 68)) (i32.eq (local.get $count) (i32.const 7)))))
      (i32.const 0)))
  (core instance $main (instantiate $main
    (with "libc" (instance $libc))
    (with "host" (instance
      (export "stream-new" (func $stream-new))
      (export "stream-write" (func $stream-write))
      (export "stream-drop" (func $stream-drop))
      (export "future-read" (func $future-read))
      (export "set-new" (func $set-new))
      (export "set-wait" (func $set-wait))
      (export "join" (func $join))
      (export "open-at" (func $open-at))
      (export "create-directory-at" (func $create-directory-at))
      (export "write-via-stream" (func $write-via-stream))
      (export "get-directories" (func $get-directories))
      (export "get-arguments" (func $get-arguments))
      (export "exit-with-code" (func $exit-with-code))
      (export "drop-descriptor" (func $drop-descriptor))))))

  (func $run async (result (result)) (canon lift (core func $main "run")))
  (instance $api (export "run" (func $run)))
  (export "wasi:cli/run@0.3.0" (instance $api)))
