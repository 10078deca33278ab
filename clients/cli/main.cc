#include "clients/cli/program.h"
#include "clients/cpp/channel.h"

int main(int argc, char** argv) {
  sop::client::PrepareProcess();
  sop::cli::Session session;
  return sop::cli::RunProgram(std::vector<std::string>(argv + 1, argv + argc), session);
}
