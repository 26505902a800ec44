;; Opens "dir/file" of its first mount 20,000 times and reads it, and tries to make "dir/new". Exits with 99 if it ever
;; reads a file that begins with "S", with 98 if it never read anything.
(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_create_directory"
    (func $path_create_directory (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "dir/file")
  (data (i32.const 16) "dir/new")
  (func (export "_start")
    (local $left i32) (local $read i32)
    (local.set $left (i32.const 20000))
    (i32.store (i32.const 64) (i32.const 128))
    (i32.store (i32.const 68) (i32.const 16))
    (loop $again
      (if (i32.eqz (call $path_open (i32.const 3) (i32.const 1) (i32.const 0) (i32.const 8)
          (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 72)))
        (then
          (if (i32.eqz (call $fd_read (i32.load (i32.const 72)) (i32.const 64) (i32.const 1) (i32.const 76)))
            (then
              (local.set $read (i32.const 1))
              (if (i32.eq (i32.load8_u (i32.const 128)) (i32.const 83)) (then (call $proc_exit (i32.const 99))))))
          (drop (call $fd_close (i32.load (i32.const 72))))))
      (drop (call $path_create_directory (i32.const 3) (i32.const 16) (i32.const 7)))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br_if $again (local.get $left)))
    (if (i32.eqz (local.get $read)) (then (call $proc_exit (i32.const 98))))))
