#include "process/image.hpp"

#include <cofutures/error.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <iterator>
#include <memory>
#include <mutex>
#include <string_view>
#include <utility>
#include <vector>

#include <dlfcn.h>
#include <link.h>

namespace cofutures::process {
namespace {

// A part of a module that is mapped into memory.
struct Segment {
    std::uintptr_t begin = 0;
    std::uintptr_t size = 0;
    bool readable = false;
    bool executable = false;

    [[nodiscard]] bool contains(std::uintptr_t address, std::uintptr_t bytes) const noexcept {
        return address >= begin && bytes <= size && address - begin <= size - bytes;
    }
};

struct Module {
    // How it is called in a TaskRef: nothing for the program, else "path|build id". The path leads
    // to it, the build id says that it is the same.
    std::string id;
    std::string path;
    std::string build_id;
    std::uintptr_t base = 0;
    std::vector<Segment> segments;

    [[nodiscard]] bool holds(std::uintptr_t address) const noexcept {
        return std::any_of(segments.begin(), segments.end(), [&](const Segment& segment) {
            return segment.contains(address, 1);
        });
    }
    [[nodiscard]] bool can_read(std::uintptr_t address, std::size_t bytes) const noexcept {
        return std::any_of(segments.begin(), segments.end(), [&](const Segment& segment) {
            return segment.readable && segment.contains(address, bytes);
        });
    }
    [[nodiscard]] bool can_execute(std::uintptr_t address) const noexcept {
        return std::any_of(segments.begin(), segments.end(), [&](const Segment& segment) {
            return segment.executable && segment.contains(address, 1);
        });
    }
};

// --- reading the list of modules -----------------------------------------------------------------

std::size_t round_up(std::size_t value, std::size_t unit) {
    return (value + unit - 1) / unit * unit;
}

std::string to_hex(const unsigned char* bytes, std::size_t size) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    for (std::size_t i = 0; i < size; ++i) {
        text += digits[bytes[i] >> 4U];
        text += digits[bytes[i] & 15U];
    }
    return text;
}

// Looks through one note segment, which is a chain of {header, name, data}.
std::string find_build_id(const unsigned char* notes, std::size_t size, std::size_t alignment) {
    constexpr std::string_view owner("GNU\0", 4);  // the terminator counts
    std::size_t position = 0;
    while (size - position >= sizeof(ElfW(Nhdr))) {
        ElfW(Nhdr) header;
        std::memcpy(&header, notes + position, sizeof(header));
        const std::size_t name = position + sizeof(header);
        const std::size_t data = position + round_up(sizeof(header) + header.n_namesz, alignment);
        if (data > size || header.n_descsz > size - data) {
            break;
        }
        if (header.n_type == NT_GNU_BUILD_ID && header.n_namesz == owner.size() &&
            std::memcmp(notes + name, owner.data(), owner.size()) == 0) {
            return to_hex(notes + data, header.n_descsz);
        }
        position = std::min(size, round_up(data + header.n_descsz, alignment));
    }
    return {};
}

Module read_module(const dl_phdr_info& info) {
    Module module;
    module.path = info.dlpi_name != nullptr ? info.dlpi_name : "";
    module.base = info.dlpi_addr;
    for (std::size_t i = 0; i < info.dlpi_phnum; ++i) {
        const ElfW(Phdr)& header = info.dlpi_phdr[i];
        if (header.p_type == PT_LOAD) {
            module.segments.push_back(
                {.begin = info.dlpi_addr + header.p_vaddr,
                 .size = header.p_memsz,
                 .readable = (header.p_flags & PF_R) != 0,
                 .executable = (header.p_flags & PF_X) != 0}
            );
        }
    }
    for (std::size_t i = 0; i < info.dlpi_phnum && module.build_id.empty(); ++i) {
        const ElfW(Phdr)& header = info.dlpi_phdr[i];
        const std::uintptr_t begin = info.dlpi_addr + header.p_vaddr;
        if (header.p_type == PT_NOTE && module.can_read(begin, header.p_memsz)) {
            module.build_id = find_build_id(
                reinterpret_cast<const unsigned char*>(begin),  // NOLINT
                header.p_memsz,
                header.p_align == 8 ? 8 : 4
            );
        }
    }
    return module;
}

// All modules of this process at one moment.
class ModuleList {
public:
    // Changes with each module that is loaded or unloaded.
    static std::uint64_t generation_now() {
        std::uint64_t generation = 0;
        ::dl_iterate_phdr(
            [](dl_phdr_info* info, std::size_t, void* result) {
                *static_cast<std::uint64_t*>(result) = info->dlpi_adds + info->dlpi_subs;
                return 1;
            },
            &generation
        );
        return generation;
    }

    ModuleList() {
        ::dl_iterate_phdr(
            [](dl_phdr_info* info, std::size_t, void* list) {
                return static_cast<ModuleList*>(list)->add(*info);
            },
            this
        );
        if (error_) {
            std::rethrow_exception(error_);
        }
        // The program comes first.
        for (auto module = std::next(modules_.begin()); module != modules_.end(); ++module) {
            use_real_path(*module);
            module->id = module->path + '|' + module->build_id;
        }
    }

    [[nodiscard]] std::uint64_t generation() const noexcept { return generation_; }
    [[nodiscard]] const std::vector<Module>& modules() const noexcept { return modules_; }

    [[nodiscard]] const Module* find(std::uintptr_t address) const noexcept {
        return find_if([&](const Module& module) { return module.holds(address); });
    }
    template <class Predicate>
    [[nodiscard]] const Module* find_if(Predicate predicate) const {
        const auto found = std::find_if(modules_.begin(), modules_.end(), predicate);
        return found == modules_.end() ? nullptr : &*found;
    }

private:
    // Called by the loader, through which an exception may not pass.
    int add(const dl_phdr_info& info) noexcept {
        try {
            generation_ = info.dlpi_adds + info.dlpi_subs;
            modules_.push_back(read_module(info));
            return 0;
        } catch (...) {
            error_ = std::current_exception();
            return 1;
        }
    }

    // A plugin may have been loaded by a path that means something else in the worker's directory.
    static void use_real_path(Module& module) {
        if (module.path.find('/') == std::string::npos) {
            return;
        }
        const std::unique_ptr<char, decltype(&std::free)> real(
            ::realpath(module.path.c_str(), nullptr), &std::free
        );
        if (real) {
            module.path = real.get();
        }
    }

    std::uint64_t generation_ = 0;
    std::vector<Module> modules_;
    std::exception_ptr error_;
};

// The list as it is now, read again only if it has changed.
std::shared_ptr<const ModuleList> current_modules() {
    struct Cache {
        std::mutex mutex;  // guards list
        std::shared_ptr<const ModuleList> list;
    };
    // Never destroyed, for pools may be used by static objects' destructors.
    static Cache& cache = *new Cache;
    const std::uint64_t generation = ModuleList::generation_now();
    const std::lock_guard lock(cache.mutex);
    if (!cache.list || cache.list->generation() != generation) {
        cache.list = std::make_shared<const ModuleList>();
    }
    return cache.list;
}

// --- loading and finding -------------------------------------------------------------------------

[[noreturn]] void throw_other_build(const std::string& path) {
    throw UnknownTaskError("the worker's \"" + path + "\" is not the build that the parent uses");
}

// Gives the module, and makes `list` one that has it: a plugin that the parent loaded by itself is
// loaded here too, and stays, as the task may leave anything behind.
const Module&
find_module(std::shared_ptr<const ModuleList>& list, const std::string& id, bool same_program) {
    if (id.empty() && !same_program) {
        throw UnknownTaskError("the task is in the pool's program, and this worker runs another "
                               "one: what both are to know must be in a shared library");
    }
    const std::size_t bar = id.rfind('|');
    const std::string path = id.substr(0, bar);
    const std::string build = bar == std::string::npos ? std::string() : id.substr(bar + 1);
    const auto is_meant = [&](const Module& module) {
        return module.id == id || (!build.empty() && module.build_id == build);
    };
    if (const Module* module = list->find_if(is_meant)) {
        return *module;
    }
    if (list->find_if([&](const Module& module) { return module.path == path; }) != nullptr) {
        throw_other_build(path);
    }
    void* const handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) {
        const char* reason = ::dlerror();  // NOLINT(concurrency-mt-unsafe): of this thread
        throw UnknownTaskError(
            "the task is in \"" + path +
            "\", which this worker cannot load: " + (reason != nullptr ? reason : "no reason given")
        );
    }
    list = current_modules();
    if (const Module* module = list->find_if(is_meant)) {
        return *module;
    }
    ::dlclose(handle);
    throw_other_build(path);
}

struct Place {
    std::string module;
    std::uint64_t offset;
};

Place find_place(const ModuleList& list, std::uintptr_t address, const char* what) {
    const Module* module = list.find(address);
    if (module == nullptr) {
        throw UnknownTaskError(
            std::string(what) + " is not part of the program or of a library that is loaded"
        );
    }
    return {module->id, address - module->base};
}

// Reads a place that holds a descriptor only if all is well; the address sanitizer would rather
// have it that nobody looks at what lies between two objects.
[[gnu::no_sanitize_address]] bool
stands_there(const detail::TaskDescriptor* descriptor, std::uint64_t check) noexcept {
    return descriptor->magic == detail::task_magic && descriptor->check == check;
}

[[noreturn]] void throw_no_such_task() {
    throw UnknownTaskError(
        "this worker holds no such task: it runs another build of the program than the parent"
    );
}

}  // namespace

TaskRef make_task_ref(const detail::TaskDescriptor& descriptor, std::uintptr_t function) {
    const auto list = current_modules();
    Place entry =
        find_place(*list, reinterpret_cast<std::uintptr_t>(&descriptor), "the task");  // NOLINT
    TaskRef ref;
    ref.module = std::move(entry.module);
    ref.offset = entry.offset;
    ref.check = descriptor.check;
    if (function != 0) {
        Place place = find_place(*list, function, "the function");
        ref.function_module = std::move(place.module);
        ref.function_offset = place.offset;
    }
    return ref;
}

ResolvedTask resolve(const TaskRef& ref, bool same_program) {
    auto list = current_modules();
    const Module& module = find_module(list, ref.module, same_program);
    const std::uintptr_t address = module.base + ref.offset;
    if (!module.can_read(address, sizeof(detail::TaskDescriptor)) ||
        address % alignof(detail::TaskDescriptor) != 0) {
        throw_no_such_task();
    }
    const auto* descriptor = reinterpret_cast<const detail::TaskDescriptor*>(address);  // NOLINT
    if (!stands_there(descriptor, ref.check)) {
        throw_no_such_task();
    }
    // Not always in the same module: the linker may have chosen another one's copy of the code.
    const auto thunk = reinterpret_cast<std::uintptr_t>(descriptor->thunk);  // NOLINT
    const Module* code = list->find(thunk);
    if (code == nullptr || !code->can_execute(thunk)) {
        throw_no_such_task();
    }
    if (ref.function_module.empty() && ref.function_offset == 0) {
        return {descriptor, 0};
    }
    const Module& owner = find_module(list, ref.function_module, same_program);
    const std::uintptr_t function = owner.base + ref.function_offset;
    if (!owner.can_execute(function)) {
        throw_no_such_task();
    }
    return {descriptor, function};
}

std::string build_id() {
    return current_modules()->modules().front().build_id;
}

}  // namespace cofutures::process
