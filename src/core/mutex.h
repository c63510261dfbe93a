#pragma once

// Annotated wrappers of the standard mutexes: clang's -Wthread-safety proves at compile time that a
// field marked GANTRY_GUARDED_BY(mutex_) is touched only under its lock.

#include <condition_variable>
#include <mutex>
#include <shared_mutex>

#if defined(__clang__)
#define GANTRY_THREAD_ATTRIBUTE(x) __attribute__((x))
#else
#define GANTRY_THREAD_ATTRIBUTE(x)
#endif
#define GANTRY_GUARDED_BY(x) GANTRY_THREAD_ATTRIBUTE(guarded_by(x))
#define GANTRY_REQUIRES(...) GANTRY_THREAD_ATTRIBUTE(requires_capability(__VA_ARGS__))
#define GANTRY_REQUIRES_SHARED(...) GANTRY_THREAD_ATTRIBUTE(requires_shared_capability(__VA_ARGS__))
#define GANTRY_EXCLUDES(...) GANTRY_THREAD_ATTRIBUTE(locks_excluded(__VA_ARGS__))

namespace gantry::core {

class GANTRY_THREAD_ATTRIBUTE(capability("mutex")) Mutex {
 public:
  void lock() GANTRY_THREAD_ATTRIBUTE(acquire_capability()) { mutex_.lock(); }

  void unlock() GANTRY_THREAD_ATTRIBUTE(release_capability()) { mutex_.unlock(); }

  bool try_lock() GANTRY_THREAD_ATTRIBUTE(try_acquire_capability(true)) {
    return mutex_.try_lock();
  }

 private:
  std::mutex mutex_;
};

class GANTRY_THREAD_ATTRIBUTE(capability("shared_mutex")) SharedMutex {
 public:
  void lock() GANTRY_THREAD_ATTRIBUTE(acquire_capability()) { mutex_.lock(); }

  void unlock() GANTRY_THREAD_ATTRIBUTE(release_capability()) { mutex_.unlock(); }

  void lock_shared() GANTRY_THREAD_ATTRIBUTE(acquire_shared_capability()) { mutex_.lock_shared(); }

  void unlock_shared() GANTRY_THREAD_ATTRIBUTE(release_shared_capability()) {
    mutex_.unlock_shared();
  }

 private:
  std::shared_mutex mutex_;
};

/// Holds a Mutex for a scope. Relockable, so that it can be used with ConditionVariable.
class GANTRY_THREAD_ATTRIBUTE(scoped_lockable) Lock {
 public:
  explicit Lock(Mutex& mutex) GANTRY_THREAD_ATTRIBUTE(acquire_capability(mutex)) : mutex_(mutex) {
    mutex_.lock();
  }

  ~Lock() GANTRY_THREAD_ATTRIBUTE(release_capability()) {
    if (held_) mutex_.unlock();
  }

  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

  void lock() GANTRY_THREAD_ATTRIBUTE(acquire_capability()) {
    mutex_.lock();
    held_ = true;
  }

  void unlock() GANTRY_THREAD_ATTRIBUTE(release_capability()) {
    held_ = false;
    mutex_.unlock();
  }

 private:
  Mutex& mutex_;
  bool held_ = true;
};

/// Holds a SharedMutex exclusively for a scope.
class GANTRY_THREAD_ATTRIBUTE(scoped_lockable) WriteLock {
 public:
  explicit WriteLock(SharedMutex& mutex) GANTRY_THREAD_ATTRIBUTE(acquire_capability(mutex))
      : mutex_(mutex) {
    mutex_.lock();
  }

  ~WriteLock() GANTRY_THREAD_ATTRIBUTE(release_capability()) { mutex_.unlock(); }

  WriteLock(const WriteLock&) = delete;
  WriteLock& operator=(const WriteLock&) = delete;

 private:
  SharedMutex& mutex_;
};

/// Holds a SharedMutex shared for a scope.
class GANTRY_THREAD_ATTRIBUTE(scoped_lockable) ReadLock {
 public:
  explicit ReadLock(SharedMutex& mutex) GANTRY_THREAD_ATTRIBUTE(acquire_shared_capability(mutex))
      : mutex_(mutex) {
    mutex_.lock_shared();
  }

  ~ReadLock() GANTRY_THREAD_ATTRIBUTE(release_capability()) { mutex_.unlock_shared(); }

  ReadLock(const ReadLock&) = delete;
  ReadLock& operator=(const ReadLock&) = delete;

 private:
  SharedMutex& mutex_;
};

/// Waits with a `Lock` (std::condition_variable_any over it).
using ConditionVariable = std::condition_variable_any;

}  // namespace gantry::core
