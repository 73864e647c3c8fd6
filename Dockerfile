# syntax=docker/dockerfile:1
# The lean binary in a distroless image: no shell, no package manager, not root. The same sources and the same VERSION make
# the same binary, whoever builds it and where: the Go version is that of go.mod, modules are checked against go.sum, and
# neither paths nor times nor the state of the repository go into it.
FROM --platform=$BUILDPLATFORM golang:1.26.8-bookworm AS build
WORKDIR /src
ENV CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS=-mod=readonly
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ARG TARGETOS TARGETARCH
ARG VERSION=dev
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -buildvcs=false \
      -ldflags="-s -w -buildid= -X assetflow/cmd/assetflow/command.Version=$VERSION" -o /out/assetflow ./cmd/assetflow

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/assetflow /usr/local/bin/assetflow
# nonroot, as a number: an orchestrator that refuses root has to see that it is none.
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/assetflow"]
CMD ["api"]
