# For the ESP32 port: make USER_C_MODULES=.../firmware/usermod/micropython.cmake
add_library(usermod_viperip_wlan INTERFACE)
target_sources(usermod_viperip_wlan INTERFACE ${CMAKE_CURRENT_LIST_DIR}/viperip_wlan.c)
target_include_directories(usermod_viperip_wlan INTERFACE ${CMAKE_CURRENT_LIST_DIR})
target_link_libraries(usermod INTERFACE usermod_viperip_wlan)
