#include <cstdlib>
#include <iostream>
#include <string>

extern "C" void greet() {
    const char *greeting = std::getenv("GREETING");
    std::cout << std::string(greeting ? greeting : "nothing") << std::endl;
}
