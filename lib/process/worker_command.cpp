#include "process/worker_command.hpp"

#include "process/frame.hpp"
#include "process/image.hpp"
#include "process/message.hpp"

namespace cofutures::process {

namespace {

std::vector<std::byte> make_first_frame(const ProcessPoolOptions& options) {
    Init init;
    init.build_id = build_id();
    init.is_own_program = options.worker_executable.empty();
    init.captures_output = static_cast<bool>(options.on_worker_output);
    if (const auto& call = options.initializer.call()) {
        init.initializer = TaskMessage{
            .ref = make_task_ref(*call->descriptor, call->function),
            .name = call->descriptor->name,
            .arguments = call->arguments,
        };
    }
    std::vector<std::byte> frame;
    const std::size_t opened = open_frame(frame, FrameKind::init, 0);
    append_message(frame, init);
    close_frame(frame, opened);
    return frame;
}

}  // namespace

WorkerCommand make_worker_command(const ProcessPoolOptions& options) {
    WorkerCommand command;
    if (!options.worker_executable.empty()) {
        command.program = options.worker_executable;
    }
    command.launcher = options.launcher;
    command.environment.assign(options.environment.begin(), options.environment.end());
    command.working_directory = options.working_directory;
    command.limits = options.limits;
    command.oom_watch = std::make_shared<OomWatch>();
    command.captures_output = static_cast<bool>(options.on_worker_output);
    command.arena = BlockArena::make();
    require_well_formed(make_request(command, {}));
    command.first_frame = make_first_frame(options);
    return command;
}

SpawnRequest make_request(const WorkerCommand& command, const WorkerDescriptors& descriptors) {
    SpawnRequest request;
    request.program = command.program;
    request.launcher = command.launcher;
    request.arguments = worker_arguments(descriptors);
    request.environment = command.environment;
    request.environment.emplace_back(worker_variable, "1");
    request.working_directory = command.working_directory;
    request.limits = command.limits;
    for (const int descriptor : descriptors.all()) {
        if (descriptor >= 0) {
            request.keep_open.push_back(descriptor);
        }
    }
    return request;
}

}  // namespace cofutures::process
