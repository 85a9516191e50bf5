// `import AIO` is enough: the public types of the layers below come with it.

@_exported public import AIOBytes
@_exported public import AIOFraming
@_exported public import AIOKernel
@_exported public import AIOWorkers
